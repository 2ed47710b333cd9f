"""Words to search a dataset for: its classes, and what stands out in its images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detail_embed.backbone.bundled_model import NAME
from detail_embed.clver_ds import concepts
from detail_embed.fiftyone_bridge.evaluate.labels import label_fields, prompt
from detail_embed.fiftyone_bridge.index import large, vectors
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples.private_names import label_path
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.fiftyone_bridge.search.large import sample
from detail_embed.space.choose_fuser import default_vocabulary
from detail_embed.texts.text_cache import encode_vocabulary

EXAMPLES = "detail_examples"  # in the info of a dataset: searches known to work
_SHOWN = 4
_READ = 10_000  # samples whose labels are read
_IMAGES, _WORDS = 500, 300  # by which is chosen what stands out
_STANDS_OUT = 2.5  # standard deviations, see space/report_card.py


def words(index: Index) -> list[str]:
    """The classes of the dataset's labels, then what the model knows, if that is known.

    Args:
        index: of the dataset
    """
    record, _ = index.find()
    known = []
    if record is not None and record.identity["backbone"] == NAME:
        known = [concept.name for concept in concepts() if not concept.unseen]
    return list(dict.fromkeys([*_classes(index), *known]))


def examples(index: Index) -> list[str]:
    """A few searches that are worth a try.

    Those that the dataset brings along in ``info["detail_examples"]``; else the classes
    of its labels, or common nouns where it has none, of which one image of the index
    stands out most among the others.

    Args:
        index: of the dataset; none for one that detail-embed did not make
    """
    given = index.dataset.info.get(EXAMPLES)
    if isinstance(given, list):
        return [str(text) for text in given[:_SHOWN]]
    record, _ = index.find()
    if record is None:
        return []
    candidates = _classes(index) or default_vocabulary().words
    return _outstanding(index, candidates[:_WORDS])


def _classes(index: Index) -> list[str]:
    images = index.images() if index.is_of_frames else index.dataset
    some, fields = images.limit(_READ), label_fields(images)
    labels = [some.distinct(label_path(images, name, "label")) for name in fields]
    return [prompt(label) for part in labels for label in part if label.strip()]


def _outstanding(index: Index, candidates: Sequence[str]) -> list[str]:
    backbone = query_vectors.model_of(index).space.backbone
    texts = encode_vocabulary(backbone, candidates).cpu().numpy()
    is_large = large.is_large(index)
    loaded = sample(index) if is_large else vectors.load(index)
    step = max(len(loaded.ids) // _IMAGES, 1)
    rows = [loaded.rows(image) for image in range(0, len(loaded.ids), step)]
    scores = np.stack([(loaded.matrix[own] @ texts.T).max(axis=0) for own in rows])
    spread = np.maximum(scores.std(axis=0), np.finfo(np.float32).eps)
    peaks = (scores.max(axis=0) - scores.mean(axis=0)) / spread
    best = np.argsort(-peaks, kind="stable")[:_SHOWN]
    return [candidates[place] for place in best if peaks[place] >= _STANDS_OUT]
