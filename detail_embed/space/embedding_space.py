"""An embedding space: backbone + cover + fuser as one named, saved thing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.features.label import patch_slug
from detail_embed.fusers.base import Fuser
from detail_embed.space.space_file import CONFIG, read_config
from detail_embed.texts.templates import encode_queries

_FUSER = "fuser"


class EmbeddingSpace:
    """What makes vectors and texts comparable: they are of one space, or they are not.

    Vectors are only comparable with vectors and texts of the same space; the
    :attr:`slug` names it.

    Args:
        backbone: the model
        cover: the windows; ``c="auto"`` takes the backbone's input size
        fuser: patches to one vector, or to a few

    Raises:
        ValueError: if backbone and fuser differ in dimension
    """

    def __init__(
        self, backbone: Backbone, cover: CompleteCover, fuser: Fuser
    ):
        if fuser.dim != backbone.dim:
            raise ValueError(
                f"the fuser has {fuser.dim} dimensions, {backbone.name} has "
                f"{backbone.dim}"
            )
        self.backbone = backbone
        if cover.c == "auto":
            cover = dataclasses.replace(cover, input_size=backbone.input_size)
        self.cover = cover
        self.fuser = fuser.to(backbone.device)

    @property
    def dim(self) -> int:
        """d, the dimension of the space."""
        return self.backbone.dim

    @property
    def slug(self) -> str:
        """The name of the space: backbone, weights, cover and fuser."""
        return "-".join([self.patch_slug, self.fuser.name, self.fuser.hash[:8]])

    @property
    def patch_slug(self) -> str:
        """What patch features depend on: backbone, weights and cover."""
        return patch_slug(self.backbone, self.cover)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Encodes what a user looks for: templates are put around every text.

        Args:
            texts: ``n`` texts

        Returns:
            ``(n, d)`` float32, unit length, on the backbone's device

        Raises:
            TypeError: if ``texts`` is not a list of strings
            ValueError: if a text is empty
        """
        return encode_queries(self.backbone, texts)

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
        space = cls(
            backbone, CompleteCover.from_dict(config["cover"]),
            fusers.load(directory / _FUSER),
        )
        if space.slug != config["slug"]:
            raise ValueError(
                f"{directory} is the space {config['slug']}, but the weights "
                f"at hand make it {space.slug}: its vectors would not fit. Use "
                "the weights it was made with, or embed again"
            )
        return space


def make_global_space(backbone: Backbone) -> EmbeddingSpace:
    """Makes the space of the backbone alone: one vector of the whole image."""
    return EmbeddingSpace(
        backbone, CompleteCover(1), fusers.create("mean", dim=backbone.dim)
    )
