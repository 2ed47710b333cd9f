"""Frames of a video file by the program ffmpeg, and what went wrong."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import fiftyone as fo
import numpy as np

from detail_embed.images.file_source import state_of

MISSING = (
    "frames of videos are made by the program ffmpeg, which is not on this machine: "
    "install it (`apt-get install ffmpeg`, or see https://ffmpeg.org) and try again"
)
NAMES = "%06d.jpg"
_POLL = 0.2  # seconds
_LONGEST = 200  # characters of a reason
_NO_PICTURES = "it has no pictures (0 frames)"


def check_ffmpeg() -> None:
    """Checks that ffmpeg, and ffprobe, which comes with it, can be called.

    Raises:
        ValueError: saying how to install it
    """
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        raise ValueError(MISSING)


class BadVideo(Exception):
    """A video that gives no frames; the message is the reason, for a person."""


def probe(path: str) -> fo.VideoMetadata:
    """Reads how long a video is, and its frame rate.

    Raises:
        BadVideo: if it is no video, or has no frames
    """
    if not os.path.isfile(path):
        raise BadVideo("the file is missing")
    if "%" in path:
        raise BadVideo(
            "its path has a %, of such FiftyOne can show no frames: rename it"
        )
    if not os.path.getsize(path):
        raise BadVideo("the file is empty (0 bytes)")
    try:
        found = fo.VideoMetadata.build_for(path)
    except Exception as error:  # FiftyOne's reader has errors of many kinds
        raise BadVideo(_why(error)) from error
    if not found.frame_rate or not found.total_frame_count or found.frame_rate < 0:
        raise BadVideo(_NO_PICTURES)
    if found.total_frame_count < 1:
        raise BadVideo(_NO_PICTURES)
    return found


def look(path: str) -> fo.VideoMetadata:
    """As :func:`probe`; what was seen of a file is kept until it is another.

    Raises:
        BadVideo: likewise
    """
    found = _look(path, state_of(path))
    if isinstance(found, BadVideo):
        raise found
    return found


@lru_cache(maxsize=4096)
def _look(path: str, state: str) -> fo.VideoMetadata | BadVideo:
    try:
        return probe(path)
    except BadVideo as error:
        return error


def frame_numbers(total: int, rate: float, fps: float) -> list[int]:
    """The frames that a video gives, evenly apart; the first is always among them.

    Args:
        total: frames of the video
        rate: its frames per second
        fps: frames per second that are wanted; all are taken where it has fewer

    Returns:
        their numbers, from 1
    """
    if fps >= rate:
        return list(range(1, total + 1))
    steps = np.floor(np.arange(-1, total) * _share(rate, fps))
    return (np.flatnonzero(np.diff(steps)) + 1).tolist()


def make_images(
    path: str, folder: Path, numbers: list[int], rate: float, fps: float
) -> Iterator[int]:
    """Writes frames of a video as ``folder/000001.jpg`` and so on.

    A picture is put in its place when it is whole; one that is in its place and newer
    than the video is left as it is.

    Args:
        path: of the video
        folder: of the images
        numbers: of the frames, as :func:`frame_numbers` gives them; only those from
            the first that is missing on are decoded
        rate: frames per second of the video
        fps: that are wanted

    Yields:
        how many of the frames are there so far, now and then

    Raises:
        BadVideo: if it can be read only in part, or not at all; what could be read is
            there
        OSError: if the folder cannot be written
    """
    since = os.path.getmtime(path)
    is_there = [is_new(folder / (NAMES % number), since) for number in numbers]
    if all(is_there[:-1] or is_there):  # what counts frames may count one too many
        yield len(numbers)
        return
    first = is_there.index(False)
    rest, placed, wrong = numbers[first:], 0, ""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".frames-", dir=folder) as name:
        here = Path(name)
        try:
            for whole in _decode(path, here, rest[0], _share(rate, fps)):
                while placed < min(whole, len(rest)):
                    picture, image = here / (NAMES % (placed + 1)), NAMES % rest[placed]
                    if not is_new(folder / image, since):
                        picture.replace(folder / image)
                    placed += 1
                yield first + placed
        except BadVideo as error:
            wrong = str(error)
    found = first + placed
    if found < max(1, len(numbers) - 1):
        part = f"only {found} of {len(numbers)} frames could be read"
        if not found:
            part = "no frame could be read, so the file is damaged: make it anew"
        raise BadVideo(f"{part}: {wrong}" if wrong else part)


def _decode(path: str, here: Path, first: int, share: float) -> Iterator[int]:
    """Runs ffmpeg; yields now and then how many pictures are whole."""
    chosen = "1" if share >= 1 else f"gt(floor(n*{share!r}),floor((n-1)*{share!r}))"
    command = [
        "ffmpeg", "-nostdin", "-loglevel", "error", "-i", os.path.abspath(path),
        "-map", "0:v:0", "-vf", f"select='gte(n,{first - 1})*{chosen}'",
        "-vsync", "0", "-q:v", "2", NAMES,
    ]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=here, stderr=said)
        try:
            while process.poll() is None:
                time.sleep(_POLL)
                yield max(0, _last(here) - 1)  # one is being written
        finally:
            process.kill()
            process.wait()
        yield _last(here)
        said.seek(0)
        text = said.read().decode(errors="replace")
    if process.returncode:
        raise BadVideo(_last_line(text) or "ffmpeg cannot read it")


def _last(here: Path) -> int:
    """The number of the last picture that was begun; those before may be gone."""
    return max((int(picture.stem) for picture in here.glob("*.jpg")), default=0)


def is_new(image: Path, since: float) -> bool:
    """Whether an image is there, and was made after a time (of its video)."""
    try:
        return image.stat().st_mtime >= since
    except OSError:
        return False


def _share(rate: float, fps: float) -> float:
    """Frames that are taken of one; ffmpeg and we reckon with the same number."""
    return min(1.0, fps / rate)


def _why(error: Exception) -> str:
    """What FiftyOne's reader said, in a line."""
    text = str(error)
    if "frame size" in text or isinstance(error, IndexError):
        return _NO_PICTURES
    said = re.search(r"failed with error:\s*b?['\"](.*)['\"]", text, re.DOTALL)
    return _last_line((said.group(1) if said else text).replace("\\n", "\n"))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    return re.sub(r"^/.*?: (?=[A-Z])", "", last)[-_LONGEST:]  # without the path
