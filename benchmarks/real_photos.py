"""What the default index finds on photographs, with models that know photographs.

    python benchmarks/real_photos.py
    python benchmarks/real_photos.py --dataset open-images-v7 --n 200
    python benchmarks/real_photos.py --dataset folder-in-coco-format \
        --backbones ViT-B-32:/models/my_clip.safetensors

For a machine with internet, better with a GPU: takes photographs with boxes from
FiftyOne's dataset zoo, computes an index for each backbone with all other settings left
alone, types every class into ``dataset.sort_by_similarity`` in a fresh process and into
the panel's search, and prints a table by the side of the objects. The ceiling, MaxSim,
compares with the exact features of all patches.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._default_index import measure  # noqa: E402
from detail_embed.backbone.presets import BACKBONES  # noqa: E402
from detail_embed.demo.fiftyone_home import open_home  # noqa: E402

if TYPE_CHECKING:
    import fiftyone as fo

    from detail_embed.clver_ds import Queries


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="coco-2017",
                        help="of FiftyOne's dataset zoo; or a folder with data/ and "
                        "labels.json in COCO's format")
    parser.add_argument("--split", default="validation", help="of a zoo dataset")
    parser.add_argument("--field", default="ground_truth", help="that has the boxes")
    parser.add_argument("--n", type=int, default=300, help="number of images")
    parser.add_argument("--seed", type=int, default=0, help="of which images")
    parser.add_argument("--backbones", nargs="+",
                        default=["ViT-B-32", "ViT-B-16-SigLIP2-256"],
                        metavar="NAME[:PRETRAINED]", help="open_clip's names; with a "
                        "tag or a file, else the weights that the forms propose")
    parser.add_argument("--home", type=Path, default=ROOT / ".benchmarks/real-photos",
                        help="folder of the images and the FiftyOne home")
    arguments = parser.parse_args()
    open_home(arguments.home)
    _measure(arguments)


def _measure(asked: argparse.Namespace) -> None:
    from detail_embed.fiftyone_bridge.index.settings import Settings

    dataset = load(asked.dataset, asked.split, asked.n, asked.seed)
    queries = read_queries(dataset, asked.field)
    print(f"{asked.dataset}: {len(queries.paths)} images, {len(queries.words)} classes")
    for backbone in asked.backbones:
        name, _, pretrained = backbone.partition(":")
        pretrained = pretrained or BACKBONES.get(name)
        settings = Settings(backbone=name, pretrained=pretrained)
        print(f"\n## {backbone}\n", flush=True)
        print(measure(dataset, re.sub(r"\W", "_", name).lower(), settings, queries))


def load(name: str, split: str, n: int, seed: int) -> fo.Dataset:
    """Opens some images of a dataset, the same ones each time.

    Args:
        name: of FiftyOne's dataset zoo, which is downloaded; or a COCO folder
        split: of a zoo dataset
        n: number of images
        seed: of which images
    """
    import fiftyone as fo
    import fiftyone.zoo as foz

    own_name = f"{Path(name).name}-{n}-{seed}"
    if fo.dataset_exists(own_name):
        return fo.load_dataset(own_name)
    if Path(name).is_dir():
        photos = fo.Dataset.from_dir(
            name, fo.types.COCODetectionDataset, label_field="ground_truth",
            label_types="detections",
        )
    else:
        photos = foz.load_zoo_dataset(
            name, split=split, max_samples=n, shuffle=True, seed=seed
        )
    return photos.take(n, seed=seed).clone(own_name, persistent=True)


def read_queries(dataset: fo.Dataset, field: str) -> Queries:
    """The classes of a label field as words, and where they are shown."""
    from detail_embed.clver_ds import Queries
    from detail_embed.evaluation import ALL
    from detail_embed.fiftyone_bridge.evaluate import labels

    shown = labels.read(dataset, field)
    count = len(shown.classes)
    return Queries(
        paths=[Path(path) for path in dataset.values("filepath")],
        words=[labels.prompt(label) for label in shown.classes],
        banks=[field] * count,
        groups=[ALL] * count,
        target_scale=np.stack([shown.scale(i) for i in range(count)]),
    )


if __name__ == "__main__":
    main()
