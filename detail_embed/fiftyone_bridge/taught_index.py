"""What an index can be taught, in sentences."""

from __future__ import annotations

import fiftyone.core.collections as foc
import numpy as np

from detail_embed.fiftyone_bridge.adapt import forget_words, learn_words
from detail_embed.fiftyone_bridge.adapt.words_result import WordsResult
from detail_embed.fiftyone_bridge.concepts import kept
from detail_embed.fiftyone_bridge.concepts.concept import Concept
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of
from detail_embed.fiftyone_bridge.search.found import Found
from detail_embed.fiftyone_bridge.teach.judged import Judged
from detail_embed.fiftyone_bridge.teach.teach import teach
from detail_embed.fiftyone_bridge.teach.uncertain import COUNT, most_uncertain
from detail_embed.texts.query import Query


class TaughtIndex(Index):
    """An index that learns concepts from examples."""

    def teach(
        self,
        name: str,
        positives: Judged | None = (),
        negatives: Judged | None = (),
        text: str | Query | None = None,
        overwrite: bool = True,
    ) -> Concept:
        """Learns a concept, and keeps it in the dataset: ``#name`` is a prompt then.

        Args:
            name: of the concept
            positives (()): ids of samples, or of labels with boxes, that show it, or
                ``(sample id, [left, top, width, height])`` in shares of the image
            negatives (()): what does not, named likewise
            text (None): what a person would type for it
            overwrite (True): whether a concept of this name is taught anew

        Raises:
            TypeError, ValueError: if nothing can be learned so; the message says what
                to do
        """
        return teach(self, name, positives, negatives, text, overwrite)

    def most_uncertain(
        self,
        query: str | Query | np.ndarray,
        samples: foc.SampleCollection | None = None,
        k: int = COUNT,
        positives: Judged | None = None,
        negatives: Judged | None = None,
    ) -> Found:
        """Finds the images to judge next.

        Args:
            query: such as ``"#helmet"``
            samples (None): the images
            k (12): how many
            positives (None): what was judged, by default what the concept was taught by
            negatives (None): likewise

        Raises:
            ValueError: if an argument cannot be used, or all images are judged
        """
        some = self._or_all(samples)
        return most_uncertain(self, some, query, positives, negatives, k)

    def learn_words(
        self,
        source: str = "labels",
        field: str | None = None,
        samples: foc.SampleCollection | None = None,
        use_boxes: bool = True,
        seed: int = 0,
        progress: bool | None = False,
    ) -> WordsResult:
        """Learns what words look like on these images; stored vectors stay as they are.

        Every search by text knows them then, also FiftyOne's own. They are kept only if
        images that were held out are found better.

        Args:
            source ("labels"): ``"labels"``, ``"captions"`` or ``"concepts"``
            field (None): that holds the labels or captions
            samples (None): the images
            use_boxes (True): whether boxes say what is meant, where labels have some
            seed (0): of the split into images to learn from and to measure by
            progress (False): whether to show a progress bar; None for FiftyOne's
                setting ``show_progress_bars``

        Raises:
            ValueError: if nothing can be learned so; the message says what to do
        """
        some = None if samples is None else self._or_all(samples)
        run = learn_words.learn(self, source, field, some, use_boxes, seed)
        return run.finish(progress)

    def forget_words(self) -> None:
        """Undoes :meth:`learn_words`: every search finds what it found before.

        Raises:
            ValueError: if the index is not ours, or knows no learned words
        """
        forget_words.forget(self).finish()

    @property
    def concepts(self) -> dict[str, Concept]:
        """The concepts of the dataset by name, also those of other backbones."""
        return kept.read_all(self.dataset)

    def _or_all(self, samples: foc.SampleCollection | None) -> foc.SampleCollection:
        if samples is None:
            return self.images() if self.is_of_frames else self.dataset
        if (other := dataset_of(samples).name) != self.dataset.name:
            raise ValueError(
                f"the samples are of the dataset {other!r}, but the index {self.key!r} "
                f"is of {self.dataset.name!r}: give a view of that"
            )
        return samples
