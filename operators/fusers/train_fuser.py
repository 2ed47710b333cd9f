"""The operator that trains a fuser on the images of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types
from fiftyone.operators.message import GeneratedMessage

from ..shared.form import refuse_empty
from ..shared.run_operator import RunOperator
from . import training_output

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.compute.train_fuser import TrainResult
    from detail_embed.fiftyone_bridge.runs.run import Run


class TrainFuser(RunOperator):
    """Trains a fuser: no labels, only words and images."""

    name = "train_fuser"
    label = "Train a fuser"
    description = "Learn on your images how patches become one vector"
    risk_level = types.RiskLevel.MEDIUM
    options = {
        **RunOperator.options,
        "disable_schema_validation": True,  # Python's types; the form checks all
    }

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """What is trained, on what, and what it will take."""
        from .training_request import add_inputs

        request = add_inputs(inputs, ctx.params, samples)
        inputs.view("estimate", types.Notice(label=request.estimate(samples)))
        request.start(samples)

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :meth:`TrainingRequest.start`."""
        from .training_request import TrainingRequest

        return TrainingRequest.from_params(params).start(samples)

    def results(self, result: TrainResult, params: Mapping[str, Any]) -> dict[str, Any]:
        """What is known of the training, with a summary and its curve."""
        return training_output.results(result)

    def schema(self, results: Mapping[str, Any]) -> types.Property:
        """The summary, and the curve as a plot."""
        return training_output.schema(results)

    def show(
        self, ctx: foo.ExecutionContext, result: TrainResult
    ) -> Iterator[GeneratedMessage]:
        """Shows the summary and the curve."""
        yield from self.show_output(ctx, result)

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        name: str,
        kind: str = "attention",
        objective: str = "ranking",
        backbone: str = "ViT-B-32",
        pretrained: str | None = None,
        cover: int | str = 10,
        spacing: str = "even",
        proxies: Sequence[str] = (),
        proxy_field: str | None = None,
        minutes: float = 30.0,
        epochs: int = 30,
        size: str | None = None,
        seed: int = 0,
        device: str = "auto",
        precision: str = "auto",
        overwrite: bool = False,
        delegate: bool = False,
    ) -> TrainResult | foo.ExecutionResult:
        """Trains a fuser on the images of a dataset, without labels.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            train = foo.get_operator("@detail/detail-embed/train_fuser")
            result = train(dataset, "drones", backbone="ViT-B-32", minutes=30)
            result.before, result.held_out

            compute = foo.get_operator("@detail/detail-embed/compute_detail_embeddings")
            compute(dataset, backbone="ViT-B-32", fuser="drones", brain_key="detail")

        Args:
            sample_collection: a dataset or view of images
            name: of the trained fuser
            kind ("attention"): of fuser, or ``"transformer"``
            objective ("ranking"): or ``"proxy-mse"``, the paper's
            backbone ("ViT-B-32"): name of an open_clip model
            pretrained (None): open_clip tag or path of a checkpoint
            cover (10): c of the Complete Cover, 1 to 15, or ``"auto"``
            spacing ("even"): of the windows, ``"even"`` or ``"authors"``
            proxies (()): words to train on; by default, and without a label field, the
                commonest nouns
            proxy_field (None): a label field whose classes are such words
            minutes (30.0): time budget of the training, after encoding
            epochs (30): passes over the images, at most
            size (None): of a transformer: ``"tiny"``, ``"small"`` or ``"base"``
            seed (0): of the split, the order and the dropout
            device ("auto"): where everything runs
            precision ("auto"): of the backbone
            overwrite (False): whether to train anew where the name is taken
            delegate (False): whether to queue the run for a delegated service

        Returns:
            name, kind, patch_slug, images, words, epochs, before, held_out, seconds and
            history, or an :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used
            detail_embed.training.TrainingDiverged: if the loss is not finite; the best
                fuser so far is kept
        """
        from .training_request import TrainingRequest

        params = {
            "name": name,
            "kind": kind,
            "objective": objective,
            "backbone": backbone,
            "pretrained": pretrained,
            "cover": cover,
            "spacing": spacing,
            "proxies": proxies,
            "proxy_field": proxy_field,
            "minutes": minutes,
            "epochs": epochs,
            "size": size,
            "seed": seed,
            "device": device,
            "precision": precision,
            "overwrite": overwrite,
        }
        refuse_empty(params)
        settings = TrainingRequest.from_params(params).settings
        params["proxies"] = list(settings.proxies)  # a database stores lists
        return self.run(sample_collection, params, delegate)
