"""A CLVER-DS dataset on disk: JPEG files and one COCO-format JSON."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
from PIL import Image
from tqdm import tqdm

from detail_embed.clver_ds.arguments import check_call, sides
from detail_embed.clver_ds.concepts import Concept, concepts
from detail_embed.clver_ds.folders import ANNOTATIONS, finish, is_done, plain, start
from detail_embed.clver_ds.scenes import Scene, SceneConfig, make_scene

IMAGES = "images"
_QUALITY = 90


@dataclass(frozen=True)
class _Job:
    config: SceneConfig
    seed: int
    index: int
    path: Path


def generate(
    out_dir: str | Path,
    n: int,
    bank: str = "both",
    size: int | tuple[int, int] = 1120,
    seed: int = 0,
    num_workers: int = 1,
    progress: bool = False,
    **settings,
) -> Path:
    """Makes scenes and writes them to a folder.

    Scene ``i`` depends on the seed, ``i`` and the settings only: neither on
    ``n`` nor on the number of workers. Source: the CLVER-DS of DetailCLIP
    (arXiv 2208.14649), a CLEVR-like set with controllable object scale, of
    which only that description is public.

    Args:
        out_dir: a new folder, one without images, or one that an equal call
            filled or began to fill
        n: number of scenes
        bank ("both"): ``"things"``, ``"solids"`` or ``"both"``
        size (1120): side, or ``(width, height)``, in pixels, at most 4096
        seed (0): of everything
        num_workers (1): number of processes
        progress (False): whether to show a progress bar
        **settings: further fields of :class:`SceneConfig`

    Returns:
        the path of the COCO JSON, whose annotations carry ``attributes``:
        bank, concept, shape, colour, material, scale, visible

    Raises:
        ValueError: if a setting is out of range or the folder holds
            something else
    """
    steps = generate_in_steps(out_dir, n, bank, size, seed, num_workers, **settings)
    with tqdm(total=n, unit="scene", desc="making scenes", disable=not progress) as bar:
        for _ in steps:
            bar.update()
    return Path(out_dir) / ANNOTATIONS


def generate_in_steps(
    out_dir: str | Path,
    n: int,
    bank: str = "both",
    size: int | tuple[int, int] = 1120,
    seed: int = 0,
    num_workers: int = 1,
    **settings,
) -> Iterator[int]:
    """Makes scenes as :func:`generate` does, and says how far it is.

    Yields:
        the number of scenes so far; nothing where all are there already

    Raises:
        ValueError: likewise
    """
    check_call(out_dir, n, seed, "scene")
    width, height = sides(size)
    config = SceneConfig(bank=bank, width=width, height=height, **settings)
    out_dir = Path(out_dir)
    target, images = out_dir / ANNOTATIONS, out_dir / IMAGES
    info = {"description": "CLVER-DS", "seed": seed, "n": n,
            "config": _plain(config)}
    if is_done(target, info):
        return
    start(images, info)
    jobs = [
        _Job(config, seed, i, images / f"scene_{i:06d}.jpg") for i in range(n)
    ]
    scenes = []
    for scene in _run(jobs, num_workers):
        scenes.append(scene)
        yield len(scenes)
    coco = {"info": info, "licenses": [], **_tables(scenes, config)}
    finish(target, coco)


def _plain(config: SceneConfig) -> dict:
    """The configuration as it reads back from JSON; without words as ever."""
    return {k: v for k, v in plain(config).items() if k != "words" or v}


def _run(jobs: list[_Job], num_workers: int):
    if num_workers <= 1:
        yield from map(_write_scene, jobs)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context) as pool:
        yield from pool.map(_write_scene, jobs, chunksize=4)


def _write_scene(job: _Job) -> Scene:
    cv2.setNumThreads(1)
    scene = make_scene(job.config, [job.seed, job.index])
    Image.fromarray(scene.pixels).save(job.path, quality=_QUALITY)
    scene.pixels = None
    return scene


def categories_of(bank: str) -> dict[str, dict]:
    """The COCO categories of a bank, by name."""
    return {
        concept.name: {
            "id": i, "name": concept.name, "supercategory": concept.bank,
            "held_out": concept.held_out, "unseen": concept.unseen,
        }
        for i, concept in enumerate(concepts(bank), start=1)
    }


def attributes_of(concept: Concept) -> dict[str, str | None]:
    """What an annotation says of what it shows."""
    return {
        "bank": concept.bank, "concept": concept.name, "shape": concept.shape,
        "colour": concept.colour, "material": concept.material,
    }


def _tables(scenes: list[Scene], config: SceneConfig) -> dict:
    """The COCO tables: images, annotations, categories."""
    categories = categories_of(config.bank)
    images, annotations = [], []
    for i, scene in enumerate(scenes):
        images.append({
            "id": i, "file_name": f"scene_{i:06d}.jpg",
            "width": config.width, "height": config.height,
            "background": scene.background,
        })
        for item in scene.objects:
            concept = item.concept
            annotations.append({
                "id": len(annotations) + 1, "image_id": i,
                "category_id": categories[concept.name]["id"],
                "bbox": list(item.box), "area": item.box[2] * item.box[3],
                "iscrowd": 0,
                "attributes": {
                    **attributes_of(concept),
                    "scale": round(item.scale, 5),
                    "visible": round(item.visible, 4),
                },
            })
    return {"images": images, "annotations": annotations,
            "categories": list(categories.values())}
