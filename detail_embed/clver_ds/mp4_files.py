"""MP4 files: H.264 where the program ffmpeg is there, else OpenCV's MPEG-4."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

logger = logging.getLogger(__name__)

_QUALITY = "18"  # libx264's rate factor: no loss that a person sees
_HINT = (
    "ffmpeg is not installed, so these videos are MPEG-4, which every program reads "
    "but no browser plays: `apt-get install ffmpeg`, and make them again"
)
_hinted: set[str] = set()


def write_mp4(
    path: Path, pictures: Iterable[np.ndarray], size: tuple[int, int], fps: float
) -> None:
    """Encodes pictures, of which none is kept; replaces a file that is there.

    Args:
        path: of the file
        pictures: ``(height, width, 3)`` uint8 RGB each
        size: width and height in pixels, even
        fps: pictures a second

    Raises:
        RuntimeError: if they cannot be encoded, or the file not be written
    """
    program = shutil.which("ffmpeg")
    if program is None:
        if _HINT not in _hinted:
            _hinted.add(_HINT)
            logger.warning(_HINT)
        _by_opencv(path, pictures, size, fps)
    else:
        _by_ffmpeg(program, path, pictures, size, fps)


def _by_ffmpeg(program, path, pictures, size, fps) -> None:
    wide, high = size
    command = [
        program, "-y", "-loglevel", "error",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{wide}x{high}", "-r", str(fps),
        "-i", "-", "-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", _QUALITY,
        "-pix_fmt", "yuv420p", "-threads", "1", "-movflags", "+faststart",
        os.fspath(path),
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stderr=pipe) as process:
        try:
            for picture in pictures:
                process.stdin.write(np.ascontiguousarray(picture).data)
            process.stdin.close()
        except BrokenPipeError:  # it has ended; why, it has said
            process.stdin = None
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise RuntimeError(f"ffmpeg cannot write {path}: {said}")


def _by_opencv(path, pictures, size, fps) -> None:
    codec = cv2.VideoWriter_fourcc(*"mp4v")
    writer = cv2.VideoWriter(os.fspath(path), codec, fps, size)
    if not writer.isOpened():
        raise RuntimeError(f"OpenCV cannot write {path}: is the folder writable?")
    try:
        for picture in pictures:
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    finally:
        writer.release()
