"""The operator that embeds images and indexes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import fiftyone.operators as foo
from fiftyone.operators import types

from ..shared import progress
from ..shared.form import refuse_empty
from .embedding_operator import EmbeddingOperator

if TYPE_CHECKING:
    from detail_embed.fiftyone_bridge.runs.run import Run

    from .compute_request import Request

_ONLY_DELEGATED = (
    "shards are runs of a delegated service: schedule the run (delegate=True), or "
    "leave shards out"
)

# What needs torch is imported where it is used: it is slow to import, and where it
# is missing the plugin shall load all the same and say so.


class ComputeDetailEmbeddings(EmbeddingOperator):
    """Computes detail-injected vectors of images, and similarity indexes."""

    name = "compute_detail_embeddings"
    label = "Compute detail embeddings"
    description = "Make small things in big images findable by text"
    risk_level = types.RiskLevel.MEDIUM
    options = {
        **EmbeddingOperator.options,
        "disable_schema_validation": True,  # Python's types; the form checks all
    }
    shown = {
        "brain_key": "Index",
        "space": "Embedding space",
        "embedded": "Images embedded",
        "present": "Images that had a vector already",
        "again": "Images embedded anew, by reason",
        "failed": "Images that could not be read",
        "error_field": "Field that says why",
        "reasons": "Why, by reason",
        "silent": "Images whose file did not tell whether it has changed",
        "boxes": "Boxes embedded",
        "failed_boxes": "Boxes that cannot be embedded",
        "seconds": "Seconds",
        "vectors": "Vectors per image",
        "reason": "Why so many",
        "features": "Patch features",
        "encoder": "How images were encoded",
        "windows": "Windows left out",
    }

    def add_inputs(
        self,
        ctx: foo.ExecutionContext,
        inputs: types.Object,
        samples: foc.SampleCollection,
    ) -> None:
        """Quality, model and name, and how it is computed."""
        from .compute_form import add_inputs

        add_inputs(inputs, ctx.params, samples)

    def labels(self) -> Mapping[str, str]:
        """Those of what is under Advanced."""
        from .advanced_form import LABELS

        return LABELS

    def start(self, samples: foc.SampleCollection, params: Mapping[str, Any]) -> Run:
        """Checks, and returns the run; see :meth:`Request.start`."""
        from .compute_request import Request

        return Request.from_params(params).start(samples)

    def check_here(self, ctx: foo.ExecutionContext) -> None:
        """Checks the weights; in the App the form has told of them."""
        from detail_embed.backbone.weights import check_weights

        from .compute_request import Request

        settings = Request.from_params(ctx.params).settings
        check_weights(settings.backbone, settings.pretrained)

    def execute(self, ctx: foo.ExecutionContext) -> Any:
        """Does the run, or queues those that share the images."""
        from .compute_request import Request

        request = Request.from_params(ctx.params)
        if request.shards > 1:
            return self._in_shards(ctx, request)
        return super().execute(ctx)

    def __call__(
        self,
        sample_collection: foc.SampleCollection,
        backbone: str = "ViT-B-32",
        pretrained: str | None = None,
        cover: int | str = 10,
        fuser: str = "auto",
        brain_key: str = "detail",
        fuser_options: Mapping[str, Any] | None = None,
        spacing: str = "even",
        skip_flat: bool | int | str = False,
        features: str = "crops",
        vectors: int | str = "auto",
        vectors_by: str = "kmeans",
        vector_bytes: int = 65_536,
        keep_features: bool | str = "auto",
        proxies: Sequence[str] = (),
        proxy_field: str | None = None,
        patches_field: str | None = None,
        padding: float = 0.0,
        backend: str | None = None,
        also_global: bool = True,
        batch_size: int | None = None,
        num_workers: int | None = None,
        max_pixels: int | None = None,
        read_seconds: float | None = None,
        skip_identical: bool = True,
        device: str = "auto",
        precision: str = "auto",
        allow_random_weights: bool = False,
        overwrite: bool = False,
        delegate: bool = False,
        shards: int = 1,
    ) -> dict[str, Any] | foo.ExecutionResult:
        """Makes small things in the images findable by text.

        Example usage::

            import fiftyone as fo
            import fiftyone.operators as foo

            dataset = fo.load_dataset("drone-photos")
            compute = foo.get_operator("@detail/detail-embed/compute_detail_embeddings")
            compute(dataset, backbone="ViT-B-32", brain_key="detail")
            view = dataset.sort_by_similarity("a red helmet", brain_key="detail", k=25)

        Args:
            sample_collection: a dataset or view of images
            backbone ("ViT-B-32"): name of an open_clip model
            pretrained (None): open_clip tag or path of a checkpoint; by default a good
                tag for the backbones that are offered in the App
            cover (10): c of the Complete Cover, 1 to 15, or ``"auto"``; with
                ``patches_field`` also ``"none"``, for the boxes and the whole image
                alone
            fuser ("auto"): name of a fuser, for one vector per image; by default the
                one that keeps most of a full patch search on a sample of the images
            brain_key ("detail"): key of the index; a second run under the same key
                embeds only new images
            fuser_options (None): of a few vectors where ``vectors`` is above 1, else of
                the fuser that is named, e.g. ``{"global_weight": 0.1}``
            spacing ("even"): of the windows, ``"even"`` or ``"authors"``
            skip_flat (False): whether windows without detail are not encoded, but take
                the feature of a larger one around them; ``"auto"`` leaves out as many
                as a search can do without, measured on a sample of 1,000 images and
                more; 2 to 255: those with a smaller range of grey levels
            features ("crops"): of windows: each by its own crop, or ``"dense"``: all by
                one pass over the image, for RN50 and its kin
            vectors ("auto"): per image, 1 to 16, that text is compared with; by default
                the fewest that keep 90 % of a full patch search on a sample of the
                images, and 1 where a fuser is named. Above 1 they become Detections in
                the field ``<brain_key>_patches``, with the boxes they stand for, and
                one vector by the fuser is indexed beside them, under
                ``<brain_key>_single``
            vectors_by ("kmeans"): how a few vectors are made, or
                ``"facility-location"``, which is fitted on words
            vector_bytes (65536): that the vectors of an image may take, where their
                number is measured
            keep_features ("auto"): ``"float16"`` or ``"int8"`` to keep patch features
                for exact search and for other fusers, False for none; by default as
                int8 where these are at most 5 GB and a tenth of the free disk
            proxies (()): words for what is fitted on words: ``"ridge"``, ``"auto"``,
                ``"attention"``, ``"transformer"``, ``"facility-location"``; by default,
                and without a label field, the commonest nouns
            proxy_field (None): a label field whose classes are such words
            patches_field (None): a field of Detections or Polylines whose boxes are
                patches of the images, too. Each has a vector of its own, in the
                attribute ``<brain_key>_boxes_embedding`` of its label, and FiftyOne's
                index of them is under ``<brain_key>_boxes``
            padding (0.0): share of the longer side of a box that is added on each side
                of it, 0 to 10; none is best where it was measured
            backend (None): a FiftyOne similarity backend
            also_global (True): whether to index the plain whole-image vectors too,
                under ``<brain_key>_global``
            batch_size (None): patches per batch
            num_workers (None): threads that decode images
            max_pixels (None): images with more are read by parts, which bounds the
                memory and needs rasterio; by default 268 million
            read_seconds (None): that a file may be waited for, as on a network; by
                default 60
            skip_identical (True): whether a file with the same content as one shortly
                before takes its vectors
            device ("auto"): where the backbone runs
            precision ("auto"): of the backbone
            allow_random_weights (False): whether to accept a backbone that was never
                trained, for tests
            overwrite (False): whether to start over, from the pixels: deletes the
                indexes and vectors under the brain key
            delegate (False): whether to queue the run for a delegated service
            shards (1): with ``delegate``, the number of runs that share the images,
                one ``fiftyone delegated launch`` each. The queued run makes the space,
                then queues them; the one that ends last makes the index

        Returns:
            a dict with brain_key, space, embedded, present, failed, error_field,
            seconds, again, vectors, fuser, reason, features, boxes, failed_boxes,
            encoder, windows, reasons (how many images failed for each) and silent (how
            many files did not tell whether they have changed), or an
            :class:`fiftyone.operators.ExecutionResult` if delegated

        Raises:
            ValueError: if the samples or an argument cannot be used, or no image could
                be read
        """
        from .compute_request import Request

        params = {
            "backbone": backbone,
            "pretrained": None if pretrained is None else str(pretrained),
            "cover": cover,
            "fuser": fuser,
            "brain_key": brain_key,
            "fuser_options": {} if fuser_options is None else fuser_options,
            "spacing": spacing,
            "skip_flat": skip_flat,
            "features": features,
            "vectors": vectors,
            "vectors_by": vectors_by,
            "vector_bytes": vector_bytes,
            "keep_features": keep_features,
            "proxies": proxies,
            "proxy_field": proxy_field,
            "patches_field": patches_field,
            "padding": padding,
            "backend": backend,
            "also_global": also_global,
            "batch_size": batch_size,
            "num_workers": num_workers,
            "max_pixels": max_pixels,
            "read_seconds": read_seconds,
            "skip_identical": skip_identical,
            "device": device,
            "precision": precision,
            "allow_random_weights": allow_random_weights,
            "overwrite": overwrite,
            "shards": shards,
        }
        refuse_empty(params)
        settings = Request.from_params(params).settings
        if shards != 1 and not delegate:
            raise ValueError(_ONLY_DELEGATED)
        params["proxies"] = list(settings.proxies)  # a database stores lists
        result = self.run(sample_collection, params, delegate)
        return result if delegate else asdict(result)

    def _in_shards(
        self, ctx: foo.ExecutionContext, request: Request
    ) -> dict[str, Any]:
        """Makes the space, and queues the runs that share the images."""
        if not ctx.delegated:
            raise ValueError(_ONLY_DELEGATED)
        samples, n = self.target(ctx), request.shards
        result = progress.delegated(ctx, request.prepare(samples))
        for i in range(n):
            shared = {"shards": 1, "shard": [i, n], "overwrite": False}
            progress.queue(self, samples, dict(ctx.params) | shared)
        return asdict(result)
