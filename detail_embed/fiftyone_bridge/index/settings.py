"""What a user asks for when an index is computed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from detail_embed import fusers
from detail_embed.backbone import Backbone, checkpoint_names, dense
from detail_embed.backbone.weights import check_trained
from detail_embed.cover import CompleteCover
from detail_embed.cover.cover_settings import CROPS, DENSE, NO_COVER
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.features.packing import DTYPES
from detail_embed.fiftyone_bridge.index.settings_checks import check_plain
from detail_embed.fusers import Fuser, library
from detail_embed.fusers.few_vectors import METHODS, FewVectors, check_count
from detail_embed.space import EmbeddingSpace
from detail_embed.space.choose_fuser import AUTO, BUDGET

_ANY_DIM = 512


@dataclass(frozen=True)
class Settings(EncodeOptions):
    """The choices that make an embedding space, beside how files are encoded.

    They are passed on as the options of the engine, whole.

    Attributes:
        backbone: name of an open_clip model
        pretrained: open_clip tag or path of a checkpoint; None for random weights,
            or for the shipped weights where the backbone is the demo's
        cover: c of the Complete Cover, 1 to 15, or ``"auto"``; ``"none"`` with
            ``patches_field`` for the whole image and the boxes alone, of which no patch
            features are kept
        spacing: of the windows, ``"even"`` or ``"authors"``
        skip_flat: whether windows without detail take the feature of a larger one;
            2 to 255: those with a smaller range of grey levels; ``"auto"``: as many as
            a search of a sample can do without, see :mod:`.measured_windows`
        features: of windows, ``"crops"``: each by its own crop; ``"dense"``: all by one
            pass over the image, see :mod:`detail_embed.backbone.dense`
        fuser: name of a fuser, for one vector per image; that of a kind, of one that
            was trained, or ``"auto"`` for the one that does best on the images
        fuser_options: options of what makes the vectors that text finds: of a few
            where there are more than one, else of that fuser
        patches_field: a field of Detections or Polylines whose boxes are patches, too,
            and have vectors of their own; None for none
        padding: share of the longer side of a box that is added on each side of it, 0
            to 10; none is best where it was measured, see docs/results/boxes.md
        vectors: per image, that text is compared with; above 1, one by the fuser is
            beside them. ``"auto"``: the fewest that keep 90 % of a full patch search on
            the images, 1 to 16; but 1 where a fuser is named
        vectors_by: how a few vectors are made, a method of ``FewVectors``
        vector_bytes: that the vectors of an image may take as float32, where their
            number is measured
        proxies: words for what needs a vocabulary; by default, and without a label
            field, the commonest nouns
        proxy_field: a label field whose classes are used as such words too
        allow_random_weights: whether a backbone with random weights is accepted
        keep_features: whether patch features are kept, for exact search and for other
            fusers: False, ``"float16"``, ``"int8"``, True: as those that are kept
            already, else as int8, or ``"auto"``: likewise where there is room, see
            :func:`.feature_stores.choose`
    """

    backbone: str = "ViT-B-32"
    pretrained: str | None = None
    cover: int | str = 10
    spacing: str = "even"
    skip_flat: bool | int | str = False
    features: str = CROPS
    fuser: str = AUTO
    fuser_options: dict[str, Any] = field(default_factory=dict)
    patches_field: str | None = None
    padding: float = 0.0
    vectors: int | str = AUTO
    vectors_by: str = "kmeans"
    vector_bytes: int = BUDGET
    proxies: Sequence[str] = ()
    proxy_field: str | None = None
    allow_random_weights: bool = False
    keep_features: bool | str = AUTO

    def __post_init__(self):
        if isinstance(self.pretrained, (str, Path)) and os.path.isfile(self.pretrained):
            path = str(Path(self.pretrained).resolve())
            object.__setattr__(self, "pretrained", path)
        if self.cover == NO_COVER:
            object.__setattr__(self, "keep_features", False)

    def check(self, fitted: str | None = None) -> None:
        """Checks what can be checked without loading the backbone.

        Args:
            fitted (None): a fuser that an index has, which is used as it is even if it
                was deleted

        Raises:
            ValueError: naming the setting and what to do
        """
        check_plain(vars(self))
        self.make_cover()
        names = [AUTO, *fusers.names(), *library.names()]
        if self.fuser not in (*names, fitted):
            raise ValueError(f"unknown fuser {self.fuser!r}; choose one of {names}")
        self._check_few()
        self._check_options()
        if self.keep_features not in (False, True, AUTO, *DTYPES):
            raise ValueError(
                f"keep_features={self.keep_features!r}: give False, True or one of "
                f"{', '.join((AUTO, *DTYPES))}"
            )
        if not self.allow_random_weights:
            check_trained(self.backbone, self.pretrained)
        self.check_options()

    @property
    def must_keep(self) -> bool:
        """Whether patch features are kept of every image, whatever room they take."""
        return self.keep_features not in (False, AUTO)

    @property
    def count(self) -> int | str:
        """Vectors per image that text is compared with; AUTO where it is measured."""
        if self.vectors != AUTO:
            return self.vectors
        return AUTO if self.fuser == AUTO else 1

    @property
    def makes_few(self) -> bool:
        """Whether an image has several vectors, for sure."""
        return self.count not in (1, AUTO)

    @property
    def measures(self) -> bool:
        """Whether something is chosen by a measurement on the images."""
        return AUTO in (self.fuser, self.count)

    @property
    def needs_vocabulary(self) -> bool:
        """Whether what makes the vectors is fitted on words, or measured by them."""
        if self.measures:
            return True
        few = self.makes_few and FewVectors.needs_words(**self._few_options())
        return few or (
            not self.is_trained and fusers.kind(self.fuser).needs_words()
        )

    @classmethod
    def from_identity(cls, identity: Mapping[str, Any], **others: Any) -> Settings:
        """The settings of which :meth:`identity` is known.

        Args:
            identity: what it returned; of a checkpoint file it has the hash, not the
                path
            **others: choices that are no part of it
        """
        return cls(**dict(identity) | others)

    @classmethod
    def of_space(cls, space: EmbeddingSpace, **others: Any) -> Settings:
        """The settings for which a space was made, as far as it shows.

        Args:
            space: the space
            **others: choices that it does not show
        """
        backbone, cover, fuser = space.backbone, space.cover, space.fuser
        options = fuser.options
        shape = {k: options[k] for k in ("k", "method")} if fuser.makes_few else {}
        usual = fusers.create(fuser.name, space.dim, **shape).options
        changed = {k: v for k, v in options.items() if usual[k] != v}
        made = {"fuser": fuser.name, "vectors": 1}
        if fuser.makes_few:
            made = {"vectors": shape["k"], "vectors_by": shape["method"]}
        known = {
            "backbone": backbone.name,
            "pretrained": backbone.pretrained,
            "cover": cover.c,
            "spacing": cover.spacing,
            "skip_flat": cover.skip_flat,
            "features": cover.features,
            "fuser_options": changed,
        }
        return cls(**known | made | others)

    def identity(self) -> dict[str, Any]:
        """The choices that decide whether vectors can be compared, as JSON values."""
        budget = {"vector_bytes": self.vector_bytes} if self.count == AUTO else {}
        padding = {} if self.patches_field is None else {"padding": self.padding}
        return {
            "backbone": self.backbone,
            "pretrained": checkpoint_names.identify(self.pretrained),
            "cover": self.cover,
            "spacing": self.spacing,
            "skip_flat": self.skip_flat,
            "features": self.features,
            "fuser": self.fuser,
            "fuser_options": dict(self.fuser_options),
            "vectors": self.count,
            "vectors_by": self.vectors_by,
            "proxies": list(dict.fromkeys(self.proxies)),
            "proxy_field": self.proxy_field,
            "patches_field": self.patches_field,
            **padding,
            **budget,
        }

    def load_backbone(self) -> Backbone:
        """Loads the backbone, with its tokenizer: without, no text finds anything.

        Raises:
            ValueError: as of :meth:`Backbone.load`, or if ``features`` asks for what
                the backbone cannot do
            RuntimeError: if the weights cannot be downloaded, or the tokenizer cannot
                be loaded
        """
        backbone = Backbone.load(
            self.backbone,
            self.pretrained,
            device=self.device,
            precision=self.precision,
        )
        backbone.encode_texts(["a photo"])
        if self.features == DENSE:
            dense.check(backbone)
        return backbone

    def make_cover(self) -> CompleteCover:
        """The windows; all of them where those to leave out are to be measured."""
        skip = False if self.skip_flat == AUTO else self.skip_flat
        return CompleteCover(
            self.cover, self.spacing, skip_flat=skip, features=self.features
        )

    def make_few(self, dim: int) -> Fuser:
        """What makes a few vectors; it is to be fitted."""
        return fusers.create(FewVectors.name, dim=dim, **self._few_options())

    def make_single(self, dim: int, patch_slug: str) -> Fuser:
        """What makes one vector, where it is named; it may be to be fitted.

        Raises:
            ValueError: if it was trained for other patches
        """
        if self.is_trained:
            return library.load(self.fuser, patch_slug)
        options = {} if self.makes_few else self.fuser_options
        return fusers.create(self.fuser, dim=dim, **options)

    @property
    def is_trained(self) -> bool:
        """Whether the fuser is one that was trained, by name."""
        return self.fuser not in (AUTO, *fusers.names())

    def _few_options(self) -> dict[str, Any]:
        return {"k": self.count, "method": self.vectors_by, **self.fuser_options}

    def _check_few(self) -> None:
        if self.vectors_by not in METHODS:
            raise ValueError(
                f"vectors_by={self.vectors_by!r}: give one of {', '.join(METHODS)}"
            )
        if self.vectors == AUTO:
            if not isinstance(self.vector_bytes, int) or self.vector_bytes < 1:
                raise ValueError(
                    f"vector_bytes={self.vector_bytes!r}: give bytes per image, such "
                    f"as {BUDGET}"
                )
        elif self.vectors != 1 or isinstance(self.vectors, bool):
            check_count(self.vectors)

    def _check_options(self) -> None:
        options = self.fuser_options
        if not isinstance(options, dict):
            raise ValueError(f"fuser_options must be a dict, not {options!r}")
        if not options:
            return
        if not self.makes_few and (self.measures or self.is_trained):
            raise ValueError(
                f"fuser_options={options} are of one kind of fuser: name it instead of "
                f"{self.fuser!r}"
            )
        if self.makes_few and {"k", "method"} & set(options):
            raise ValueError(
                f"fuser_options={options}: 'k' and 'method' are said by vectors and "
                "vectors_by"
            )
        try:
            if self.makes_few:
                self.make_few(_ANY_DIM)
            else:
                self.make_single(_ANY_DIM, "")
        except TypeError as error:
            raise ValueError(f"fuser_options={options}: {error}") from error
