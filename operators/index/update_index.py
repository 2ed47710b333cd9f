"""The operator that embeds what an index lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared.form import add_known_index, index_of
from .advanced_labels import LABELS, TIME_LIMIT
from .embedding_operator import EmbeddingOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.index.coverage import Coverage
    from detail_embed.fiftyone_bridge.runs.run import Run

_REASONS = 3  # that are shown


class UpdateIndex(EmbeddingOperator):
    """Embeds new images, and those that failed, as the rest of an index."""

    name = "update_index"
    label = "Update a detail index"
    description = "Embed the images that an index lacks, as it was made"
    risk_level = types.RiskLevel.MEDIUM
    shown = {
        "embedded": "Images embedded",
        "present": "Images that had a vector already",
        "again": "Images embedded anew, by reason",
        "failed": "Images that could not be read",
        "reasons": "Why, by reason",
        "silent": "Images whose file did not tell whether it has changed",
        "seconds": "Seconds",
    }

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Index, what it lacks, and where its checkpoint is."""
        from detail_embed.engine.encode_options import EncodeOptions
        from detail_embed.fiftyone_bridge.compute import update
        from detail_embed.fiftyone_bridge.index import facts as index_facts
        from detail_embed.fiftyone_bridge.index.coverage import coverage
        from detail_embed.fiftyone_bridge.index.index import Index
        from detail_embed.images.in_time import is_hung

        ours = index_facts.of_kind(ctx.dataset, index_facts.OURS)
        facts = add_known_index(inputs, ctx.params, ours)
        index = Index.of(samples, facts.brain_key)
        found = coverage(index, samples)
        inputs.view("coverage", types.Notice(label=_describe(found)))
        if any(map(is_hung, found.reasons)):
            inputs.float(
                "read_seconds",
                default=EncodeOptions.read_seconds,
                label=LABELS["read_seconds"],
                description=TIME_LIMIT,
            )
        inputs.str(
            "pretrained",
            label="Checkpoint file",
            description="Only where the file of the weights was moved: its path",
        )
        pretrained = ctx.params.get("pretrained") or None
        update.check_update(index, samples, pretrained)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :func:`update.update`."""
        from detail_embed.engine.encode_options import EncodeOptions
        from detail_embed.fiftyone_bridge.compute import update

        return update.update(
            index_of(samples, params),
            samples,
            params.get("pretrained") or None,
            EncodeOptions.from_params(params),
        )

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        brain_key: str = "detail",
        pretrained: str | None = None,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int | None = None,
        num_workers: int | None = None,
        max_pixels: int | None = None,
        read_seconds: float | None = None,
        skip_identical: bool = True,
        delegate: bool = False,
    ) -> dict[str, Any] | foo.ExecutionResult:
        """Embeds the images that an index lacks, with the settings it was made with.

        Images whose files have changed since, and those with a vector of another
        space, such as one that was merged in, are embedded anew.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            dataset.add_images_dir("/flights/today")
            update = foo.get_operator("@detail/detail-embed/update_index")
            update(dataset, "detail")

        Args:
            sample_collection: a dataset or view of images
            brain_key ("detail"): an index of ours; images that failed are tried again
            pretrained (None): where the checkpoint file lies now, if it was moved
            device ("auto"): where the backbone runs
            precision ("auto"): of the backbone
            batch_size (None): patches per batch
            num_workers (None): threads that decode images
            max_pixels (None): images with more are read by parts, which needs
                rasterio; by default 268 million
            read_seconds (None): that a file may be waited for, as on a network; by
                default 60
            skip_identical (True): whether a file with the same content as one shortly
                before takes its vectors
            delegate (False): whether to queue the run for a delegated service

        Returns:
            a dict with brain_key, space, embedded, present, failed, error_field,
            seconds, again, vectors, fuser, reason, features, reasons (how many images
            failed for each) and silent (how many files did not tell whether they have
            changed), or an :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the index is not ours, the samples cannot be used, or the
                checkpoint file is gone
        """
        params = {
            "brain_key": brain_key,
            "pretrained": None if pretrained is None else str(pretrained),
            "device": device,
            "precision": precision,
            "batch_size": batch_size,
            "num_workers": num_workers,
            "max_pixels": max_pixels,
            "read_seconds": read_seconds,
            "skip_identical": skip_identical,
        }
        result = self.run(sample_collection, params, delegate)
        return result if delegate else asdict(result)


def _describe(found: Coverage) -> str:
    total = found.embedded + found.missing + found.failed
    text = f"{found.embedded:,} of {total:,} images have a vector"
    if found.missing:
        text += f", {found.missing:,} are new"
    if found.failed:
        reasons = ", ".join(f"{n:,} x {reason}" for reason, n in _first(found.reasons))
        text += f", {found.failed:,} failed and are tried again ({reasons})"
    return f"{text}. Files that have changed since are embedded again"


def _first(reasons: dict[str, int]) -> list[tuple[str, int]]:
    return list(reasons.items())[:_REASONS]
