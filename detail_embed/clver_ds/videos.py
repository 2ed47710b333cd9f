"""CLVER-DS videos on disk: MP4 files and one JSON of what they show, and when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from detail_embed.clver_ds.arguments import check_call, sides
from detail_embed.clver_ds.dataset import attributes_of, categories_of
from detail_embed.clver_ds.filming import Film, VideoConfig
from detail_embed.clver_ds.folders import ANNOTATIONS, finish, is_done, plain, start
from detail_embed.clver_ds.mp4_files import write_mp4

VIDEOS = "videos"


def generate_videos(
    out_dir: str | Path,
    n: int,
    bank: str = "both",
    size: int | tuple[int, int] = (640, 480),
    seed: int = 0,
    progress: bool = False,
    **settings,
) -> Path:
    """Makes videos of scenes, in which things appear and vanish, and writes them.

    A camera pans and zooms over a CLVER-DS scene. Video ``i`` depends on the seed,
    ``i`` and the settings only, not on ``n``.

    Args:
        out_dir: a new folder, one without videos, or one that an equal call filled or
            began to fill
        n: number of videos
        bank ("both"): ``"things"``, ``"solids"`` or ``"both"``
        size ((640, 480)): width and height in pixels, even; or one side
            for both
        seed (0): of everything
        progress (False): whether to show a progress bar
        **settings: further fields of :class:`.filming.VideoConfig`, such as ``seconds``
            and ``durations``

    Returns:
        the path of the JSON: COCO's categories, and for every object of a video its
        ``first`` and ``last`` frame, from 1, a ``bbox`` in each of these, and
        ``attributes``: bank, concept, shape, colour, material, scale, appears

    Raises:
        ValueError: if a setting is out of range or the folder holds something else
        RuntimeError: if a file cannot be written
    """
    steps = generate_videos_in_steps(out_dir, n, bank, size, seed, **settings)
    with tqdm(total=n, unit="video", desc="making videos", disable=not progress) as bar:
        for _ in steps:
            bar.update()
    return Path(out_dir) / ANNOTATIONS


def generate_videos_in_steps(
    out_dir: str | Path,
    n: int,
    bank: str = "both",
    size: int | tuple[int, int] = (640, 480),
    seed: int = 0,
    **settings,
) -> Iterator[int]:
    """Makes videos as :func:`generate_videos` does, and says how far it is.

    Yields:
        the number of videos so far; nothing where all are there already

    Raises:
        ValueError, RuntimeError: likewise
    """
    check_call(out_dir, n, seed, "video")
    width, height = size = sides(size)
    config = VideoConfig(bank=bank, width=width, height=height, **settings)
    target, folder = Path(out_dir) / ANNOTATIONS, Path(out_dir) / VIDEOS
    info = {"description": "CLVER-DS videos", "seed": seed, "n": n,
            "config": plain(config)}
    if is_done(target, info):
        return
    start(folder, info)
    tables = {"videos": [], "annotations": []}
    categories = categories_of(bank)
    for i in range(n):
        film, name = Film(config, [seed, i]), f"video_{i:06d}.mp4"
        write_mp4(folder / name, film.pictures(), size, config.fps)
        tables["videos"].append({
            "id": i, "file_name": name, "width": width, "height": height,
            "length": config.length, "frame_rate": config.fps,
            "background": film.background,
        })
        for track in film.tracks:
            tables["annotations"].append({
                "id": len(tables["annotations"]) + 1, "video_id": i,
                "category_id": categories[track.concept.name]["id"],
                "first": track.first, "last": track.last, "bbox": track.boxes,
                "attributes": {
                    **attributes_of(track.concept),
                    "scale": round(track.scale, 5), "appears": track.appears,
                },
            })
        yield i + 1
    finish(target, {"info": info, **tables, "categories": list(categories.values())})
