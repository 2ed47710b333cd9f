"""The scenes of the league: training, validation and test apart by seed and background.

Training and validation scenes stand on backgrounds that the demo backbone knows, test
scenes on kinds that nothing here was trained or tuned on.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from detail_embed.backbone import Backbone
from detail_embed.clver_ds import Queries, concepts, generate, read_queries
from detail_embed.clver_ds.backgrounds import KINDS, UNSEEN_KINDS
from detail_embed.cover import CompleteCover
from detail_embed.engine.encode_files import iter_patch_features
from detail_embed.features import FeatureStore
from detail_embed.features.label import patch_slug
from detail_embed.texts.templates import encode_queries
from detail_embed.training import Stored

_SHARD = 100
SEEN_KINDS = tuple(kind for kind in KINDS if kind not in UNSEEN_KINDS)
WIDE = (1120, 630)


@dataclass(frozen=True)
class SceneSet:
    """Scenes to make.

    Attributes:
        name: of its folder
        n: number of scenes
        seed: no two sets share one
        settings: further arguments of ``generate()``
    """

    name: str
    n: int
    seed: int
    settings: dict = field(default_factory=dict)


def scene_sets(share: float = 1.0) -> dict[str, SceneSet]:
    """All sets of the league.

    Args:
        share (1.0): of the number of scenes, for a quick look
    """
    seen, unseen = {"backgrounds": SEEN_KINDS}, {"backgrounds": UNSEEN_KINDS}
    one = {"objects": (1, 1), "scale_range": (0.35, 0.8), "bank": "things"}
    sets = [
        SceneSet("train", 2500, 401, seen),
        SceneSet("validation", 400, 402, seen),
        SceneSet("things", 600, 403, unseen | {"bank": "things"}),
        SceneSet("solids", 600, 404, unseen | {"bank": "solids"}),
        SceneSet("things-16", 200, 405, unseen | {"bank": "things",
                                                  "objects": (16, 16)}),
        SceneSet("things-wide", 200, 406, unseen | {"bank": "things", "size": WIDE}),
        SceneSet("things-whole", 600, 407, unseen | one),
        SceneSet("validation-whole", 600, 408, seen | one),
    ]
    return {
        s.name: SceneSet(s.name, max(20, round(s.n * share)), s.seed, s.settings)
        for s in sets
    }


@dataclass
class Scenes:
    """A set of scenes with patch features.

    Attributes:
        queries: words and images
        texts: ``(q, d)`` unit features of the words
        store: patch features, by the names of the files
    """

    queries: Queries
    texts: Tensor
    store: FeatureStore

    @cached_property
    def ids(self) -> list[str]:
        """The images in the order of the queries' columns."""
        return [path.name for path in self.queries.paths]

    def batches(self, size: int = 50):
        """Features ``(b, p, d)``, mask and boxes as fractions, in order."""
        source = Stored(self.store, self.ids)
        for start in range(0, len(self.ids), size):
            yield source.batch(range(start, min(start + size, len(self.ids))))

    def groups(self) -> list[tuple[str, str]]:
        """Bank and group of each word."""
        return list(zip(self.queries.banks, self.queries.groups))


def make(
    folder: Path, wanted: SceneSet, backbone: Backbone, cover: CompleteCover,
    texts: Tensor | None = None,
) -> Scenes:
    """Makes the scenes and encodes their patches, unless they are there.

    Args:
        folder: where they are kept
        wanted: the scenes
        backbone: the model
        cover: the windows
        texts (None): ``(q, d)`` features of the words, where they are known already
    """
    generate(folder / wanted.name, wanted.n, seed=wanted.seed, num_workers=2,
             progress=True, **wanted.settings)
    queries = read_queries(folder / wanted.name)
    slug = patch_slug(backbone, cover)
    store = FeatureStore(folder / "features" / wanted.name / slug, slug, backbone.dim)
    missing = [path for path in queries.paths if path.name not in store]
    waiting = []
    for found in iter_patch_features([(p.name, p) for p in missing], backbone, cover):
        if found.features is None:
            raise RuntimeError(f"{found.path}: {found.reason}")
        waiting.append(found)
        if len(waiting) == _SHARD:
            _add(store, waiting, cover)
            waiting = []
    _add(store, waiting, cover)
    if texts is None:
        texts = encode_queries(backbone, queries.words)
    return Scenes(queries, texts, store)


def with_rewordings(scenes: Scenes, backbone: Backbone) -> Scenes:
    """Adds a wording that no proxy has for each solid that is a proxy.

    With fewer proxies than dimensions a fuser may store their score table, and
    nothing else; such a fuser fails on other words for the same thing.
    """
    queries, solids = scenes.queries, {c.name: c for c in concepts("solids")}
    rows = [r for r, group in enumerate(queries.groups)
            if queries.banks[r] == "solids" and group == "proxy"]
    if not rows:
        return scenes
    others = [solids[queries.words[row]] for row in rows]
    words = [f"{c.shape} in {c.colour} {c.material}" for c in others]
    joined = dataclasses.replace(
        queries,
        words=[*queries.words, *words],
        banks=[*queries.banks, *(["solids"] * len(rows))],
        groups=[*queries.groups, *(["reworded"] * len(rows))],
        target_scale=np.vstack([queries.target_scale, queries.target_scale[rows]]),
    )
    texts = torch.cat([scenes.texts, encode_queries(backbone, words)])
    return Scenes(joined, texts, scenes.store)


def oracle_crops(scenes: Scenes, folder: Path, backbone: Backbone) -> np.ndarray:
    """Scores of the best crop of an annotated object, ``(q, n)``: a perfect cover."""
    coco = json.loads((folder / "annotations.json").read_text())
    boxes: dict[int, list] = {}
    for note in coco["annotations"]:
        boxes.setdefault(note["image_id"], []).append(note["bbox"])
    scores = np.full((len(scenes.texts), len(scenes.ids)), -1.0, np.float32)
    for image in coco["images"]:
        picture = Image.open(folder / "images" / image["file_name"])
        crops = [_crop(picture, box, backbone.input_size) for box in
                 boxes.get(image["id"], [])]
        if crops:
            features = backbone.encode_patches(torch.stack(crops))
            column = scenes.ids.index(image["file_name"])
            scores[:, column] = (scenes.texts @ features.T).amax(dim=1)
    return scores


def _crop(picture, box, size: int) -> Tensor:
    """The square around a box, a tenth larger, at the backbone's size."""
    x, y, w, h = box
    side = 1.1 * max(w, h)
    left, top = x + w / 2 - side / 2, y + h / 2 - side / 2
    crop = picture.resize((size, size), Image.Resampling.BICUBIC,
                          box=_inside(left, top, side, picture.size))
    return torch.from_numpy(np.asarray(crop).copy()).permute(2, 0, 1)


def _inside(left: float, top: float, side: float, size: tuple[int, int]):
    side = min(side, *size)
    left = min(max(left, 0), size[0] - side)
    top = min(max(top, 0), size[1] - side)
    return left, top, left + side, top + side


def _add(store: FeatureStore, found: list, cover: CompleteCover) -> None:
    sizes = [(f.width, f.height) for f in found]
    store.add([f.id for f in found], [f.features for f in found],
              [cover.boxes(*s) for s in sizes], [cover.levels(*s) for s in sizes])
