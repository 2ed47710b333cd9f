"""Images into fields: what the engine makes goes to the samples, chunk by chunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing

from detail_embed.backbone import Backbone
from detail_embed.engine.box_patches import Boxes
from detail_embed.engine.stream import stream_reusing
from detail_embed.fiftyone_bridge.compute.open_space import Opened
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.runs.pace import Pace
from detail_embed.fiftyone_bridge.runs.run import Progress
from detail_embed.fiftyone_bridge.samples.box_sink import BoxSink
from detail_embed.fiftyone_bridge.samples.collection import ids_with, without
from detail_embed.fiftyone_bridge.samples.frames import Home
from detail_embed.fiftyone_bridge.samples.sink import WHOLE, Sink
from detail_embed.space.embedding_space import make_global_space

_CHUNKS = 16, 64  # images, at least and at most: what a kill loses
_CHUNK_SECONDS = 2.0


def embed_whole(
    index: Index,
    home: Home,
    items: list[tuple[str, str]],
    backbone: Backbone,
    settings: Settings,
) -> Generator[Progress, None, None]:
    """Embeds whole images that have a vector, but none of the whole image.

    Args:
        index: one of ours
        home: where its images are
        items: ids and paths
        backbone: of the index
        settings: how files are read and encoded
    """
    field = index.whole.vector_field
    indexed = ids_with(home, index.field)
    rest = without(items, ids_with(home, field))
    rest = [item for item in rest if item[0] in indexed]
    opened = Opened(make_global_space(backbone), None, None, False, "")
    sink = Sink(home, {field: WHOLE}, index.error_field)
    yield from embed(rest, opened, settings, [sink])


def embed(
    items: list[tuple[str, str]],
    opened: Opened,
    settings: Settings,
    sinks: Sequence[Sink | BoxSink],
    boxes: Boxes | None = None,
) -> Generator[Progress, None, Counter[str]]:
    """Embeds images into fields.

    Args:
        items: ids and paths
        opened: what they are embedded with
        settings: how files are read and encoded
        sinks: where the vectors go, in this order
        boxes (None): of the images, that are patches, too

    Returns:
        how many failed, by the reason
    """
    least, most = _CHUNKS
    space, single = opened.space, opened.single
    chunks = stream_reusing(
        items,
        space.backbone,
        space.cover,
        space.fuser,
        opened.store,
        settings,
        keep=bool(opened.keep),
        chunk_size=min(max(len(items) // 100, least), most),
        chunk_seconds=_CHUNK_SECONDS,
        single=single and single.fuser,
        boxes=boxes,
    )
    pace = Pace(len(items))
    done, reasons = 0, Counter[str]()
    with closing(chunks):
        for chunk in chunks:
            for sink in sinks:
                sink.write(chunk)
            done += len(chunk.ids) + len(chunk.errors)
            reasons.update(error.reason for error in chunk.errors)
            yield pace.report(done, reasons.total())
    return reasons
