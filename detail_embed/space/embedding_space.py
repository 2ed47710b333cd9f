"""An embedding space: backbone + cover + fuser as one named, saved thing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from detail_embed import fusers
from detail_embed.backbone import Backbone, dense
from detail_embed.cover import CompleteCover
from detail_embed.features.label import patch_slug
from detail_embed.fusers.base import Fuser
from detail_embed.space.space_file import CONFIG, read_config
from detail_embed.texts.templates import TEMPLATES, encode_queries
from detail_embed.texts.text_adapter import TextAdapter

_FUSER, _WORDS = "fuser", "words"


class EmbeddingSpace:
    """What makes vectors and texts comparable: they are of one space, or they are not.

    Vectors are only comparable with vectors and texts of the same space; the
    :attr:`slug` names it. Learned words change what texts become, and not what images
    do: the vectors of a space with and without them are of one :attr:`vector_slug`.

    Args:
        backbone: the model
        cover: the windows; ``c="auto"`` takes the backbone's input size
        fuser: patches to one vector, or to a few
        words (None): learned words, by which texts are moved; None for none

    Raises:
        ValueError: if backbone, fuser and words differ in dimension, or the cover asks
            for one pass over an image, which the backbone cannot do
    """

    def __init__(
        self, backbone: Backbone, cover: CompleteCover, fuser: Fuser,
        words: TextAdapter | None = None,
    ):
        for what, part in (("fuser has", fuser), ("learned words have", words)):
            if part is not None and part.dim != backbone.dim:
                raise ValueError(
                    f"the {what} {part.dim} dimensions, {backbone.name} has "
                    f"{backbone.dim}"
                )
        if cover.is_dense:
            dense.check(backbone)
        self.backbone = backbone
        if cover.c == "auto":
            cover = dataclasses.replace(cover, input_size=backbone.input_size)
        self.cover = cover
        self.fuser = fuser.to(backbone.device)
        self.words = words

    @property
    def dim(self) -> int:
        """d, the dimension of the space."""
        return self.backbone.dim

    @property
    def slug(self) -> str:
        """The name of the space: backbone, weights, cover, fuser and learned words."""
        if self.words is None:
            return self.vector_slug
        return "-".join([self.vector_slug, _WORDS, self.words.hash[:8]])

    @property
    def vector_slug(self) -> str:
        """What the vectors of images depend on: the slug without learned words."""
        return "-".join([self.patch_slug, self.fuser.name, self.fuser.hash[:8]])

    @property
    def patch_slug(self) -> str:
        """What patch features depend on: backbone, weights and cover."""
        return patch_slug(self.backbone, self.cover)

    def with_words(self, words: TextAdapter | None) -> EmbeddingSpace:
        """The same space with learned words, or with none."""
        return EmbeddingSpace(self.backbone, self.cover, self.fuser, words)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encodes what a user looks for: templates are put around every text.

        Texts that are near to a learned word are moved to what it was taught to mean.

        Args:
            texts: ``n`` texts

        Returns:
            ``(n, d)`` float32, unit length, on the backbone's device

        Raises:
            TypeError: if ``texts`` is not a list of strings
            ValueError: if a text is empty
        """
        return encode_queries(self.backbone, texts, TEMPLATES, self.words)

    def save(self, directory: str | Path) -> None:
        """Saves what makes the space, but not the backbone's weights.

        Raises:
            RuntimeError: if the fuser is not fitted
        """
        if not self.fuser.is_fitted:
            raise RuntimeError(
                f"the {self.fuser.name!r} fuser is not fitted: call fit() first"
            )
        directory = Path(directory)
        self.fuser.save(directory / _FUSER)
        if self.words is not None:
            self.words.save(directory / _WORDS)
        config = {
            "slug": self.slug,
            "backbone": {
                "name": self.backbone.name,
                "pretrained": self.backbone.pretrained,
                "weights_hash": self.backbone.weights_hash,
            },
            "cover": self.cover.to_dict(),
        }
        text = json.dumps(config, indent=1) + "\n"
        (directory / CONFIG).write_text(text, "utf-8")

    @classmethod
    def load(
        cls, directory: str | Path, device: str = "auto",
        backbone: Backbone | None = None,
    ) -> EmbeddingSpace:
        """Loads a space.

        Args:
            directory: where it was saved
            device ("auto"): a torch device
            backbone (None): the model, if it is loaded already

        Raises:
            ValueError: if the folder holds no space, or the backbone's weights
                are not those of the space
        """
        directory = Path(directory)
        config = read_config(directory)
        wanted = config["backbone"]
        if backbone is None:
            backbone = Backbone.load(
                wanted["name"], wanted["pretrained"], device=device
            )
        folder, words = directory / _WORDS, None
        if folder.is_dir() or _is_with_words(config["slug"]):
            words = TextAdapter.load(folder)
        space = cls(
            backbone, CompleteCover.from_dict(config["cover"]),
            fusers.load(directory / _FUSER), words,
        )
        if space.slug != config["slug"]:
            raise ValueError(
                f"{directory} is the space {config['slug']}, but the weights "
                f"at hand make it {space.slug}: its vectors would not fit. Use "
                "the weights it was made with, or embed again"
            )
        return space


def _is_with_words(slug: str) -> bool:
    return slug.split("-")[-2:-1] == [_WORDS]


def make_global_space(backbone: Backbone) -> EmbeddingSpace:
    """Makes the space of the backbone alone: one vector of the whole image."""
    return EmbeddingSpace(
        backbone, CompleteCover(1), fusers.create("mean", dim=backbone.dim)
    )
