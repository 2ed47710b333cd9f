"""What a user asks for when an index is computed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc

from detail_embed import fusers
from detail_embed.backbone import Backbone, checkpoint_names
from detail_embed.backbone.weights import check_trained
from detail_embed.cover import CompleteCover
from detail_embed.engine.encode_options import EncodeOptions
from detail_embed.features.feature_store import DTYPES
from detail_embed.fiftyone_bridge.samples.private_names import label_path
from detail_embed.fusers import Fuser, library
from detail_embed.fusers.few_vectors import METHODS, FewVectors, check_count
from detail_embed.space import DetailEmbedder, EmbeddingSpace
from detail_embed.space.choose_fuser import AUTO, default_vocabulary
from detail_embed.texts.vocabulary import Vocabulary

_ANY_DIM = 512


@dataclass(frozen=True)
class Settings(EncodeOptions):
    """The choices that make an embedding space, beside how files are encoded.

    They are passed on as the options of the engine, whole.

    Attributes:
        backbone: name of an open_clip model
        pretrained: open_clip tag or path of a checkpoint; None for random weights,
            or for the shipped weights where the backbone is the demo's
        cover: c of the Complete Cover, 1 to 15, or ``"auto"``
        spacing: of the windows, ``"even"`` or ``"authors"``
        skip_flat: whether windows without detail take the feature of a larger one
        fuser: name of a fuser, for one vector per image; that of a kind, of one that
            was trained, or ``"auto"`` for the one that does best on the images
        fuser_options: options of that fuser, or of a few vectors
        vectors: per image; above 1 the fuser is not used
        vectors_by: how a few vectors are made, a method of ``FewVectors``
        proxies: words for what needs a vocabulary; by default, and without a label
            field, the commonest nouns
        proxy_field: a label field whose classes are used as such words too
        allow_random_weights: whether a backbone with random weights is accepted
        keep_features: whether patch features are kept, for exact search and for other
            fusers: False, ``"float16"`` or ``"int8"``
    """

    backbone: str = "ViT-B-32"
    pretrained: str | None = None
    cover: int | str = 10
    spacing: str = "even"
    skip_flat: bool = False
    fuser: str = AUTO
    fuser_options: dict[str, Any] = field(default_factory=dict)
    vectors: int = 1
    vectors_by: str = "kmeans"
    proxies: Sequence[str] = ()
    proxy_field: str | None = None
    allow_random_weights: bool = False
    keep_features: bool | str = False

    def __post_init__(self):
        if isinstance(self.pretrained, (str, Path)) and os.path.isfile(self.pretrained):
            path = str(Path(self.pretrained).resolve())
            object.__setattr__(self, "pretrained", path)

    def check(self, fitted: str | None = None) -> None:
        """Checks what can be checked without loading the backbone.

        Args:
            fitted (None): a fuser that an index has, which is used as it is even if it
                was deleted

        Raises:
            ValueError: naming the setting and what to do
        """
        self._check_types()
        self._cover()
        names = [AUTO, *fusers.names(), *library.names()]
        if self.fuser not in (*names, fitted):
            raise ValueError(f"unknown fuser {self.fuser!r}; choose one of {names}")
        self._check_few()
        self._check_options()
        if self.keep_features not in (False, *DTYPES):
            raise ValueError(
                f"keep_features={self.keep_features!r}: give False or one of "
                f"{', '.join(DTYPES)}"
            )
        if not self.allow_random_weights:
            check_trained(self.backbone, self.pretrained)
        self.check_options()

    @property
    def fuser_name(self) -> str:
        """What makes the vectors, in a word."""
        return self.vectors_by if self.vectors > 1 else self.fuser

    @property
    def needs_vocabulary(self) -> bool:
        """Whether what makes the vectors is fitted on words."""
        if self._kind == AUTO:
            return True
        if self._is_trained:
            return False
        return fusers.kind(self._kind).needs_words(**self._options())

    @classmethod
    def from_identity(cls, identity: Mapping[str, Any], **others: Any) -> Settings:
        """The settings of which :meth:`identity` is known.

        Args:
            identity: what it returned; of a checkpoint file it has the hash, not the
                path
            **others: choices that are no part of it
        """
        choices, options = dict(identity), dict(identity["fuser_options"])
        if identity["fuser"] == FewVectors.name:
            choices["fuser"] = cls.fuser
            choices["vectors"] = options.pop("k")
            choices["vectors_by"] = options.pop("method", cls.vectors_by)
        return cls(**choices | {"fuser_options": options} | others)

    @classmethod
    def of_space(cls, space: EmbeddingSpace, **others: Any) -> Settings:
        """The settings for which :meth:`make_space` made a space, as far as it shows.

        Args:
            space: the space
            **others: choices that it does not show
        """
        backbone, cover, fuser = space.backbone, space.cover, space.fuser
        shape = ("k", "method") if fuser.makes_few else ()
        shape = {name: fuser.options[name] for name in shape}
        usual = fusers.create(fuser.name, space.dim, **shape).options
        changed = {k: v for k, v in fuser.options.items() if usual[k] != v}
        identity = {
            "backbone": backbone.name,
            "pretrained": backbone.pretrained,
            "cover": cover.c,
            "spacing": cover.spacing,
            "skip_flat": cover.skip_flat,
            "fuser": fuser.name,
            "fuser_options": shape | changed,
        }
        return cls.from_identity(identity, **others)

    def identity(self) -> dict[str, Any]:
        """The choices that decide whether vectors can be compared, as JSON values."""
        return {
            "backbone": self.backbone,
            "pretrained": checkpoint_names.identify(self.pretrained),
            "cover": self.cover,
            "spacing": self.spacing,
            "skip_flat": self.skip_flat,
            "fuser": self._kind,
            "fuser_options": self._options(),
            "proxies": list(dict.fromkeys(self.proxies)),
            "proxy_field": self.proxy_field,
        }

    def vocabulary(self, samples: foc.SampleCollection) -> Vocabulary:
        """Lists the words as given, then the classes of the label field.

        The order matters: the wordings of one thing belong next to each other, see
        :mod:`detail_embed.fusers.ridge`. Classes come with their parts; without words
        and label field it is the commonest nouns.

        Raises:
            ValueError: if the field is no label field, or has no labels
        """
        own = Vocabulary.from_words(self.proxies) if self.proxies else None
        if not self.proxy_field:
            return own or default_vocabulary()
        names = _classes(samples, self.proxy_field)
        classes = Vocabulary.from_classes(names, self.proxy_field)
        return own + classes if own else classes

    def load_backbone(self) -> Backbone:
        """Loads the backbone, with its tokenizer: without, no text finds anything.

        Raises:
            ValueError: as of :meth:`Backbone.load`
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
        return backbone

    def make_space(self, backbone: Backbone) -> DetailEmbedder:
        """Makes the space that was asked for; its fuser is to be fitted, or chosen."""
        space = DetailEmbedder(backbone, self._cover(), self._unfitted(backbone.dim))
        if self._is_trained:
            trained = library.load(self.fuser, space.patch_slug)
            space.fuser = trained.to(backbone.device)
        return space

    def _cover(self) -> CompleteCover:
        return CompleteCover(self.cover, self.spacing, skip_flat=self.skip_flat)

    def _unfitted(self, dim: int) -> Fuser:
        """What was asked for, or what stands in until it is chosen or loaded."""
        stands_in = self._kind == AUTO or self._is_trained
        name = "mean" if stands_in else self._kind
        return fusers.create(name, dim=dim, **self._options())

    @property
    def _kind(self) -> str:
        """Of fuser; AUTO, or the name of one that was trained."""
        return FewVectors.name if self.vectors > 1 else self.fuser

    @property
    def _is_trained(self) -> bool:
        return self.vectors == 1 and self.fuser not in (AUTO, *fusers.names())

    def _check_types(self) -> None:
        for name in ("backbone", "pretrained", "proxy_field"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise ValueError(f"{name} must be a text, not {value!r}")
        if isinstance(self.proxies, str):
            raise ValueError(f"proxies must be a list of words, not {self.proxies!r}")

    def _check_few(self) -> None:
        if self.vectors == 1 and not isinstance(self.vectors, bool):
            return
        check_count(self.vectors)
        if self.vectors_by not in METHODS:
            raise ValueError(
                f"vectors_by={self.vectors_by!r}: give one of {', '.join(METHODS)}"
            )

    def _check_options(self) -> None:
        if not isinstance(self.fuser_options, dict):
            raise ValueError(
                f"fuser_options must be a dict, not {self.fuser_options!r}"
            )
        if not self.fuser_options:
            return
        if self._kind == AUTO or self._is_trained:
            raise ValueError(
                f"fuser_options={self.fuser_options} are of one kind of fuser: name it "
                f"instead of {self.fuser!r}"
            )
        if self.vectors > 1 and {"k", "method"} & set(self.fuser_options):
            raise ValueError(
                f"fuser_options={self.fuser_options}: 'k' and 'method' are said by "
                "vectors and vectors_by"
            )
        try:
            self._unfitted(_ANY_DIM)
        except TypeError as error:
            raise ValueError(f"fuser_options={self.fuser_options}: {error}") from error

    def _options(self) -> dict[str, Any]:
        given = dict(self.fuser_options)
        if self.vectors > 1:
            return {"k": self.vectors, "method": self.vectors_by} | given
        return given

    def needs_fit(self, space: EmbeddingSpace) -> bool:
        """Whether the fuser of a new space is still to be fitted, or chosen."""
        return self.fuser_name == AUTO or not space.fuser.is_fitted


def _classes(samples: foc.SampleCollection, field: str) -> list[str]:
    schema = samples.get_field_schema(embedded_doc_type=fo.Label)
    if field not in schema:
        raise ValueError(
            f"{field!r} is no label field; choose one of {sorted(schema)}, or pass "
            "words"
        )
    classes = samples.distinct(label_path(samples, field, "label"))
    if not classes:
        raise ValueError(f"label field {field!r} holds no labels; pass words instead")
    return sorted(classes)
