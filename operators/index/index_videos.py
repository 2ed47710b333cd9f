"""The operator that indexes videos by their frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import filled, folder, refuse_empty
from .embedding_operator import EmbeddingOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.runs.run import Run
    from detail_embed.fiftyone_bridge.video.index_videos import VideosResult


class IndexVideos(EmbeddingOperator):
    """Makes frames of videos, so many a second, and an index of these."""

    name = "index_videos"
    label = "Index videos"
    description = "Make what appears in videos findable by text, and when"
    risk_level = types.RiskLevel.MEDIUM
    options = {
        **EmbeddingOperator.options,
        "disable_schema_validation": True,  # Python's types; the form checks all
    }
    shown = {
        "brain_key": "Index",
        "videos": "Videos with frames",
        "frames": "Frames",
        "failed_videos": "Videos that give no frames, or only some",
        "frames_error_field": "Field of the videos that says why",
        "embedded": "Frames embedded",
        "present": "Frames that had a vector already",
        "failed": "Frames that could not be read",
        "seconds": "Seconds",
        "vectors": "Vectors per frame",
    }

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Frames per second and their number, quality, model and name."""
        from .video_form import add_inputs

        add_inputs(inputs, ctx.params, samples)

    def labels(self) -> Mapping[str, str]:
        """Those of what is under Advanced."""
        from .video_form import LABELS

        return LABELS

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run."""
        from detail_embed.fiftyone_bridge.index.index import Index
        from detail_embed.fiftyone_bridge.video.index_videos import index_videos
        from detail_embed.fiftyone_bridge.video.make_frames import FPS, MOST

        from .compute_request import Request

        given = filled(params)
        request = Request.from_params(given)
        return index_videos(
            Index.of(samples, request.brain_key),
            samples,
            request.settings,
            given.get("fps", FPS),
            given.get("max_frames", MOST),
            folder(given.get("directory")),
            request.backend,
            request.also_global,
            request.overwrite,
        )

    def summarise(self, result: VideosResult) -> str:
        """How many videos and frames, and what failed."""
        text = f"{result.frames:,} frames of {result.videos:,} videos"
        if result.failed_videos:
            text += (
                f"; {result.failed_videos:,} videos give none, or only some (see the "
                f"field {result.frames_error_field!r})"
            )
        told = super().summarise(result).replace(" images ", " frames ")
        return f"{text}. {told}"

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        fps: float = 1.0,
        backbone: str = "ViT-B-32",
        pretrained: str | None = None,
        brain_key: str = "detail",
        cover: int | str = 10,
        vectors: int | str = "auto",
        fuser: str = "auto",
        keep_features: bool | str = "auto",
        max_frames: int = 20_000,
        directory: str | Path | None = None,
        also_global: bool = True,
        backend: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        allow_random_weights: bool = False,
        overwrite: bool = False,
        delegate: bool = False,
    ) -> dict[str, Any] | foo.ExecutionResult:
        """Makes what appears in videos findable by text.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            videos = fo.load_dataset("drone-videos")
            index_videos = foo.get_operator("@detail/detail-embed/index_videos")
            index_videos(videos, fps=2, brain_key="detail")

        Args:
            sample_collection: a dataset or view of videos
            fps (1.0): frames per second of video; what is shorter than the time between
                two frames may be missed
            backbone ("ViT-B-32"): name of an open_clip model
            pretrained (None): open_clip tag or path of a checkpoint; by default a good
                tag for the backbones that are offered in the App
            brain_key ("detail"): key of the index; a second run under the same key
                takes new videos in, and goes on where it was cut short
            cover (10): c of the Complete Cover, 1 to 15, or ``"auto"``
            vectors ("auto"): per frame, 1 to 16, that text is compared with; by default
                measured
            fuser ("auto"): name of a fuser, for one vector per frame
            keep_features ("auto"): ``"float16"`` or ``"int8"`` to keep patch features
                for exact search, False for none; by default where they are small
            max_frames (20000): frames of all these videos, at most; more are refused
                before the first is made
            directory (None): where the images of the frames go, a folder a video; by
                default beside each video, in a folder of its name
            also_global (True): whether to index the whole-image vectors of frames, too
            backend (None): a FiftyOne similarity backend
            device ("auto"): where the backbone runs
            precision ("auto"): of the backbone
            batch_size (None): patches per batch
            allow_random_weights (False): whether to accept a backbone that was never
                trained, for tests
            overwrite (False): whether to start over with the vectors; frames that were
                made are kept
            delegate (False): whether to queue the run for a delegated service

        Returns:
            a dict with videos, frames, fps, failed_videos and frames_error_field, and,
            of the frames, what ``compute_detail_embeddings`` returns of images; or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used, ffmpeg is missing,
                there were too many frames, or nothing could be read
        """
        params = {
            "fps": fps,
            "backbone": backbone,
            "pretrained": None if pretrained is None else str(pretrained),
            "brain_key": brain_key,
            "cover": cover,
            "vectors": vectors,
            "fuser": fuser,
            "keep_features": keep_features,
            "max_frames": max_frames,
            "directory": None if directory is None else str(directory),
            "also_global": also_global,
            "backend": backend,
            "device": device,
            "precision": precision,
            "batch_size": batch_size,
            "allow_random_weights": allow_random_weights,
            "overwrite": overwrite,
        }
        refuse_empty(params)
        result = self.run(sample_collection, params, delegate)
        return result if delegate else asdict(result)
