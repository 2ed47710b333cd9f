"""Small real videos."""

from __future__ import annotations

from pathlib import Path

import cv2
import fiftyone as fo
import numpy as np

FPS = 10
COLOURS = {"red": (0, 0, 255), "green": (0, 255, 0), "blue": (255, 0, 0)}  # BGR


def write_video(path: Path, frames: int, seed: int = 0, size: int = 64) -> Path:
    """Writes an MP4 of blocks whose colours change from frame to frame."""
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, (size, size)
    )
    rng = np.random.default_rng(seed)
    for _ in range(frames):
        blocks = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        writer.write(np.kron(blocks, np.ones((size // 4, size // 4, 1), np.uint8)))
    writer.release()
    return path


def load_videos(folder: Path, count: int = 2, frames: int = 12) -> fo.Dataset:
    """A dataset of such videos, which is to be deleted."""
    dataset = fo.Dataset(persistent=True)
    paths = [write_video(folder / f"{i}.mp4", frames, i) for i in range(count)]
    dataset.add_samples([fo.Sample(filepath=str(path)) for path in paths])
    return dataset
