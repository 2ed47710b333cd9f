"""One index, and all that can be done with it, in sentences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import fiftyone.core.collections as foc
import fiftyone.core.models as fom
import numpy as np

from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.features import FeatureStore
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.compute.update import update
from detail_embed.fiftyone_bridge.curate.tag_hits import THRESHOLD, Tagged, tag_hits
from detail_embed.fiftyone_bridge.exchange.export_vectors import (
    ExportResult,
    export_vectors,
)
from detail_embed.fiftyone_bridge.index import brain_runs, feature_stores
from detail_embed.fiftyone_bridge.index import facts as index_facts
from detail_embed.fiftyone_bridge.index import vectors as index_vectors
from detail_embed.fiftyone_bridge.index.coverage import Coverage, coverage
from detail_embed.fiftyone_bridge.index.delete import delete_any
from detail_embed.fiftyone_bridge.index.facts import IndexFacts
from detail_embed.fiftyone_bridge.index.index_vectors import IndexVectors
from detail_embed.fiftyone_bridge.index.rename import rename
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.model.detail_model import DetailModel
from detail_embed.fiftyone_bridge.runs.run import Result
from detail_embed.fiftyone_bridge.search import query_vectors
from detail_embed.fiftyone_bridge.search.found import Found
from detail_embed.fiftyone_bridge.search.search import search
from detail_embed.fiftyone_bridge.taught_index import TaughtIndex
from detail_embed.fiftyone_bridge.where.show_where import Where, show_where
from detail_embed.space.embedding_space import EmbeddingSpace
from detail_embed.texts.query import Query


class DetailIndex(TaughtIndex):
    """A similarity index of a dataset, under its brain key.

    Nothing is made or read until it is asked for, so the index may be one that is yet
    to be computed. What needs no features or space of ours, such as search, coverage
    and export, works on every similarity index. ``samples`` is always a dataset or
    view, by default the whole dataset; which images each kind of view means, such as
    of groups, patches and frames of videos, is in :mod:`.samples.images`.

    Args:
        dataset: the dataset
        key: the brain key

    Example::

        index = DetailIndex(dataset, "detail")
        index.compute(backbone="ViT-B-32", pretrained="laion2b_s34b_b79k")
        index.search("a red helmet, -a bicycle").ids
    """

    def compute(
        self,
        samples: foc.SampleCollection | None = None,
        settings: Settings | None = None,
        backend: str | None = None,
        also_global: bool = True,
        overwrite: bool = False,
        progress: bool | None = False,
        **choices: Any,
    ) -> Result:
        """Embeds the images that have no vector yet, and indexes all that have one.

        Args:
            samples (None): the images
            settings (None): the space asked for, by default that of ``Settings()``
            backend (None): a FiftyOne similarity backend
            also_global (True): whether to index plain whole-image vectors too
            overwrite (False): whether to delete what is under the brain key first
            progress (False): whether to show a progress bar; None for FiftyOne's
                setting ``show_progress_bars``
            **choices: attributes of :class:`.index.settings.Settings`, such as
                ``backbone`` and ``cover``, in place of those of ``settings``

        Raises:
            ValueError, RuntimeError: as of :func:`.compute.compute_index.compute`
            TypeError: if there is no such choice, or the settings are none
        """
        settings = Settings() if settings is None else settings
        if not isinstance(settings, Settings):
            raise TypeError(
                f"settings={settings!r:.80}: give Settings, or each choice by its "
                "name, such as backbone='ViT-B-32'"
            )
        asked = replace(settings, **choices)
        run = compute_index.compute(
            self, self._or_all(samples), asked, backend, also_global, overwrite
        )
        return run.finish(progress)

    def update(
        self,
        samples: foc.SampleCollection | None = None,
        progress: bool | None = False,
        pretrained: str | Path | None = None,
        **options: Any,
    ) -> Result:
        """Embeds the images that the index lacks, in its own space, and indexes them.

        Args:
            samples (None): the images
            progress (False): whether to show a progress bar; None for FiftyOne's
                setting ``show_progress_bars``
            pretrained (None): where the checkpoint file lies now, if it was moved
            **options: attributes of :class:`~.engine.encode_options.EncodeOptions`,
                such as ``device``

        Raises:
            ValueError: if the index is not ours, the samples cannot be used, or the
                checkpoint file is gone
            TypeError: if there is no such option
        """
        asked = EncodeOptions(**options)
        run = update(self, self._or_all(samples), pretrained, asked)
        return run.finish(progress)

    def search(
        self,
        query: str | Query | np.ndarray | None = None,
        samples: foc.SampleCollection | None = None,
        k: int | None = 25,
        **options: Any,
    ) -> Found:
        """Finds the images that fit a query best; in an index of boxes, the boxes.

        Args:
            query: prompts in one line, such as ``"a red helmet, -a bicycle"``; or a
                vector ``(d,)`` in the space of the index
            samples (None): the images to search in
            k (25): images to return, at most, None for all
            **options: such as ``threshold``, and ``like``, ids of samples or boxes
                that are examples; see :func:`.search.search.search`

        Raises:
            ValueError: if nothing can be searched so; the message says what to do
        """
        return search(self, self._or_all(samples), query, k, **options)

    def show_where(
        self,
        query: str | np.ndarray,
        samples: foc.SampleCollection | None = None,
        progress: bool | None = False,
        **options: Any,
    ) -> Where:
        """Labels where images match a query: boxes, and a heat map.

        Args:
            query: prompts in one line, or a vector ``(d,)`` in the space of the index
            samples (None): the images
            progress (False): whether to show a progress bar; None for FiftyOne's
                setting ``show_progress_bars``
            **options: such as ``max_boxes``, see :func:`.where.show_where.show_where`

        Raises:
            ValueError: if the index is not ours, or an argument cannot be used
        """
        run = show_where(self, self._or_all(samples), query, **options)
        return run.finish(progress)

    def tag(
        self,
        query: str,
        tag: str = "hit",
        samples: foc.SampleCollection | None = None,
        threshold: float = THRESHOLD,
    ) -> Tagged:
        """Tags the images in which a query stands out.

        Args:
            query: prompts in one line
            tag ("hit"): the tag
            samples (None): the images
            threshold (3.0): the least z-score

        Raises:
            ValueError: if an argument cannot be used; the message says what to do
        """
        return tag_hits(self, self._or_all(samples), query, threshold, tag)

    def export(
        self,
        path: str | Path,
        samples: foc.SampleCollection | None = None,
        overwrite: bool = False,
        progress: bool | None = False,
    ) -> ExportResult:
        """Writes the vectors to a Parquet file.

        Args:
            path: of the file; ``~`` is the home directory
            samples (None): the images
            overwrite (False): whether a file that is there is replaced
            progress (False): whether to show a progress bar; None for FiftyOne's
                setting ``show_progress_bars``

        Raises:
            ValueError: if there is no such index, or the path cannot be used
            RuntimeError: if the file cannot be written
        """
        run = export_vectors(self, self._or_all(samples), path, overwrite)
        return run.finish(progress)

    def rename(self, new_key: str) -> None:
        """Gives an index of ours another brain key; this object goes on with it.

        Raises:
            ValueError: if the index is not ours, or the key cannot be used or is taken
        """
        rename(self, new_key)
        self.key = new_key

    def delete(self) -> None:
        """Deletes the index; what of it, see :func:`.index.delete.delete_any`.

        Raises:
            ValueError: if there is no such index, or a run writes to it
        """
        delete_any(self)

    def coverage(self, samples: foc.SampleCollection | None = None) -> Coverage:
        """Counts the images that the index has and lacks, and says why.

        Raises:
            ValueError: if there is no such index
        """
        return coverage(self, self._or_all(samples))

    def vectors(self) -> IndexVectors:
        """The vectors in memory.

        Raises:
            ValueError: if there is no such index, or it holds nothing
        """
        return index_vectors.load(self)

    def store(self) -> FeatureStore:
        """The patch features that the index was made from.

        Raises:
            ValueError: if there are none, or they are gone or of another space
        """
        return feature_stores.open_store(self)

    @property
    def facts(self) -> IndexFacts | None:
        """What is known of the index; None where it cannot be searched by text."""
        return index_facts.of_index(self)

    @property
    def model(self) -> fom.Model:
        """The model that encodes queries.

        Raises:
            ValueError: if the index cannot be searched by text, or its model is not on
                this machine
        """
        brain_runs.check_promptable(self)
        return query_vectors.model_of(self)

    @property
    def space(self) -> EmbeddingSpace:
        """The embedding space of one of our indexes; its backbone is loaded.

        Raises:
            ValueError: as of :attr:`model`, and if the index is another's
        """
        model = self.model
        if not isinstance(model, DetailModel):
            raise ValueError(
                f"the index {self.key!r} is of the model {self.config.model!r}, which "
                "is no embedding space of detail-embed"
            )
        return model.space
