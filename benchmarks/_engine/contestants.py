"""Four ways from patches to vectors; each returns patches per second."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

from benchmarks._engine import encoder
from benchmarks._engine.case import Case, boxes_of
from detail_embed.backbone import Backbone, bundled_model
from detail_embed.backbone.bundled_model import NAME as DEMO
from detail_embed.cover.patches import extract_patches
from detail_embed.engine.chunk import Chunk
from detail_embed.engine.stream import stream
from detail_embed.engine.workers import run_in_workers
from detail_embed.images.image_file import read_image
from detail_embed.storage.chunk_store import ChunkStore

_CHUNK, _CHUNK_SECONDS = 64, 2.0  # as of a run over many images
_THREADS = 8


def bare(case: Case, images: int) -> float:
    """The encoder alone: patches lie on the device, in the best way."""
    return encoder.rate(
        case.backbone, case.patches, case.best_way, sum(case.windows[:images])
    )


def reading(case: Case, images: int) -> float:
    """All that no engine can leave out but the encoder: decoding and cutting.

    Files are decoded at their full size and cut in as many workers as the engine has,
    with nothing beside; nothing is encoded.
    """
    def work(own: Backbone, path: Path, _: Callable[[], bool]) -> None:
        pixels = torch.from_numpy(read_image(path)).to(own.device)
        extract_patches(pixels.permute(2, 0, 1), case.cover, own.patch_spec)

    started = encoder.clock()
    for _ in run_in_workers(case.backbone, work, case.files[:images]):
        pass
    return sum(case.windows[:images]) / (encoder.clock() - started)


def engine(case: Case, images: int) -> float:
    """Ours, from files to stored vectors."""
    items = case.items[:images]
    with _store(case, items) as write:
        encoder.synchronise(case.backbone)
        started = encoder.clock()
        chunks = stream(
            items, case.backbone, case.cover, case.fuser, chunk_size=_CHUNK,
            chunk_seconds=_CHUNK_SECONDS,
        )
        with closing(chunks):
            for chunk in chunks:
                assert not chunk.errors
                write(chunk)
        return sum(case.windows[:images]) / (encoder.clock() - started)


def by_pillow(case: Case, images: int) -> float:
    """Crop and open_clip's preprocessing by Pillow, a thread for each patch."""
    spec = case.backbone.patch_spec
    prepare = open_clip.image_transform(
        spec.size, is_train=False, interpolation=spec.interpolation,
        mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0),  # encode_patches() normalises
    )
    started = encoder.clock()
    with ThreadPoolExecutor(_THREADS) as pool:
        for path in case.files[:images]:
            image = Image.open(path).convert("RGB")
            boxes = boxes_of(case.cover, path).tolist()
            crops = pool.map(lambda box, image=image: prepare(image.crop(box)), boxes)
            features = case.backbone.encode_patches(torch.stack(list(crops)))
            features.mean(dim=0).cpu()
    return sum(case.windows[:images]) / (encoder.clock() - started)


def by_fiftyone(case: Case, images: int) -> float:
    """FiftyOne's compute_patch_embeddings of the same model over the same boxes."""
    import fiftyone as fo

    dataset = fo.Dataset()
    for path in case.files[:images]:
        with Image.open(path) as image:
            boxes = boxes_of(case.cover, path) / np.tile(image.size, 2)
        boxes[:, 2:] -= boxes[:, :2]
        windows = [fo.Detection(bounding_box=box.tolist()) for box in boxes]
        detections = fo.Detections(detections=windows)
        dataset.add_sample(fo.Sample(filepath=str(path), windows=detections))
    model = _fiftyone_model(case)
    started = encoder.clock()
    found = dataset.compute_patch_embeddings(
        model, "windows", batch_size=case.backbone.batch_size, progress=False
    )
    means = {id: features.mean(axis=0) for id, features in found.items()}
    dataset.add_sample_field("vector", fo.VectorField)
    dataset.set_values("vector", means, key_field="id")
    seconds = encoder.clock() - started
    dataset.delete()
    return sum(case.windows[:images]) / seconds


def has_fiftyone() -> bool:
    """Whether FiftyOne is installed."""
    return find_spec("fiftyone") is not None


class _store:
    """Where the engine's vectors go: FiftyOne's database, or files without it."""

    def __init__(self, case: Case, items: list):
        self._case, self._items = case, items

    def __enter__(self) -> Callable[[Chunk], None]:
        if not has_fiftyone():
            self._folder = tempfile.TemporaryDirectory()
            store = ChunkStore(self._folder.name, "benchmark")
            return lambda c: store.add(c.ids, c.vectors, c.global_vectors)
        import fiftyone as fo

        from detail_embed.fiftyone_bridge.samples.sink import VECTORS, WHOLE, Sink

        self._dataset = fo.Dataset()
        samples = [fo.Sample(filepath=str(path)) for _, path in self._items]
        self._dataset.add_samples(samples, progress=False)
        for name in ("vector", "whole"):
            self._dataset.add_sample_field(name, fo.VectorField)
        names = [name for name, _ in self._items]
        self._ids = dict(zip(names, self._dataset.values("id")))
        sink = Sink(
            self._dataset, {"vector": VECTORS, "whole": WHOLE}, "error"
        )

        def write(chunk: Chunk) -> None:
            chunk.ids = [self._ids[name] for name in chunk.ids]
            sink.write(chunk)

        return write

    def __exit__(self, *_) -> None:
        if has_fiftyone():
            assert len(self._dataset.exists("vector")) == len(self._items)
            self._dataset.delete()
        else:
            self._folder.cleanup()


def _fiftyone_model(case: Case):
    import fiftyone.zoo as foz

    name = case.backbone.name
    return foz.load_zoo_model(
        "open-clip-torch", clip_model=name, device=str(case.backbone.device),
        pretrained=str(bundled_model.WEIGHTS) if name == DEMO else "",
    )
