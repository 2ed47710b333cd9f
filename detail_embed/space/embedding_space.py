"""An embedding space: backbone + cover + fuser as one named, saved thing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from detail_embed import fusers
from detail_embed.backbone import Backbone
from detail_embed.cover import CompleteCover
from detail_embed.engine.encode_files import patch_slug
from detail_embed.features import FeatureStore
from detail_embed.fusers.base import Fuser
from detail_embed.fusers.few_vectors import FewVectors
from detail_embed.fusers.saved import Saved, read
from detail_embed.images.image_file import MAX_PIXELS
from detail_embed.space import fit_sample
from detail_embed.space.choose_fuser import CANDIDATES, Choice, choose_fuser
from detail_embed.space.embed_files import EmbedResult, check_paths, embed_files
from detail_embed.space.space_file import CONFIG, read_config
from detail_embed.texts.templates import encode_queries
from detail_embed.texts.text_cache import encode_vocabulary
from detail_embed.texts.vocabulary import Vocabulary

_FUSER = "fuser"


class DetailEmbedder:
    """Turns files into detail embeddings, and texts into queries for them.

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
        self, backbone: Backbone, cover: CompleteCover, fuser: Fuser | FewVectors
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

    def fit(
        self,
        paths: Sequence[str | Path],
        proxies: Sequence[str] | None = None,
        max_images: int = 200,
        max_patches: int = 20_000,
        seed: int = 0,
        max_pixels: int = MAX_PIXELS,
    ) -> DetailEmbedder:
        """Fits the fuser on a sample of files; changes the slug.

        Args:
            paths: files to draw the sample from
            proxies (None): words the fuser may be fitted on (for ``ridge``)
            max_images (200): size of the sample, at most
            max_patches (20000): the sample ends where it has as many, for
                memory's sake
            seed (0): of the sample
            max_pixels (MAX_PIXELS): images with more are left out

        Returns:
            the embedder itself

        Raises:
            TypeError: if ``paths`` is one path
            ValueError: if no file can be read, or the fuser lacks what it needs
        """
        check_paths(paths)
        if not self.fuser.needs_fit:
            return self
        sample = self._sample(paths, max_images, max_patches, seed, max_pixels)
        return self._fit(sample, proxies)

    def fit_stored(
        self,
        store: FeatureStore,
        ids: Sequence[str],
        proxies: Sequence[str] | None = None,
        max_patches: int = 20_000,
    ) -> DetailEmbedder:
        """Fits the fuser on stored patch features; nothing but texts is encoded.

        Args:
            store: patch features of this backbone and cover
            ids: images of the store
            proxies (None): as of :meth:`fit`
            max_patches (20000): as of :meth:`fit`

        Returns:
            the embedder itself

        Raises:
            ValueError: if the store is of another backbone or cover, or the fuser
                lacks what it needs
            KeyError: if an image is not in the store
        """
        return self._fit(self._stored(store, ids, max_patches), proxies)

    def _fit(
        self, sample: tuple[Tensor, Tensor], proxies: Sequence[str] | None
    ) -> DetailEmbedder:
        images, mask = sample
        texts = None
        if proxies is not None:
            texts = encode_vocabulary(self.backbone, proxies)
        self.fuser.fit(images[mask], proxies=texts, images=images, mask=mask)
        return self

    def choose_fuser(
        self,
        paths: Sequence[str | Path],
        vocabulary: Vocabulary | None = None,
        candidates: Sequence[str] = CANDIDATES,
        max_images: int = 200,
        max_patches: int = 40_000,
        seed: int = 0,
        max_pixels: int = MAX_PIXELS,
    ) -> Choice:
        """Replaces the fuser by the one that does best on a sample of files.

        Args:
            paths: files to draw the sample from
            vocabulary (None): see :func:`~detail_embed.space.choose_fuser.choose_fuser`
            candidates (("mean", "gmp", "ridge")): names of fusers
            max_images (200): size of the sample, at most
            max_patches (40000): see :meth:`fit`
            seed (0): of the sample
            max_pixels (MAX_PIXELS): images with more are left out

        Returns:
            the fitted fuser, its report card and the reason in words

        Raises:
            TypeError: if ``paths`` is one path
            ValueError: if no file can be read, or no fuser can be fitted
        """
        check_paths(paths)
        sample = self._sample(paths, max_images, max_patches, seed, max_pixels)
        return self._choose(sample, vocabulary, candidates)

    def choose_stored(
        self,
        store: FeatureStore,
        ids: Sequence[str],
        vocabulary: Vocabulary | None = None,
        candidates: Sequence[str] = CANDIDATES,
        max_patches: int = 40_000,
    ) -> Choice:
        """Chooses as :meth:`choose_fuser` does, on stored patch features.

        Args and errors: as of :meth:`choose_fuser` and :meth:`fit_stored`.
        """
        sample = self._stored(store, ids, max_patches)
        return self._choose(sample, vocabulary, candidates)

    def _choose(
        self,
        sample: tuple[Tensor, Tensor],
        vocabulary: Vocabulary | None,
        candidates: Sequence[str],
    ) -> Choice:
        choice = choose_fuser(self.backbone, *sample, vocabulary, candidates)
        self.fuser = choice.fuser
        return choice

    def _sample(
        self, paths: Sequence[str | Path], max_images: int, max_patches: int,
        seed: int, max_pixels: int,
    ) -> tuple[Tensor, Tensor]:
        chosen = fit_sample.draw(paths, max_images, seed)
        return fit_sample.of_files(
            chosen, self.backbone, self.cover, max_patches, max_pixels
        )

    def _stored(
        self, store: FeatureStore, ids: Sequence[str], max_patches: int
    ) -> tuple[Tensor, Tensor]:
        store.require(self.patch_slug)
        return fit_sample.of_store(store, ids, max_patches, self.backbone.device)

    def embed_files(
        self,
        paths: Sequence[str | Path],
        progress: bool = False,
        batch_size: int | None = None,
        num_workers: int | None = None,
        out: str | Path | None = None,
        features: str | Path | FeatureStore | None = None,
        max_pixels: int = MAX_PIXELS,
        skip_identical: bool = True,
    ) -> EmbedResult:
        """Embeds files.

        Args:
            paths: ``n`` image files
            progress (False): whether to show a progress bar
            batch_size (None): patches per forward pass
            num_workers (None): decoding threads
            out (None): a folder that keeps finished chunks, so that a second
                run embeds only what is missing. A file counts as done by its
                path; one that could not be read is tried again
            features (None): a folder that keeps patch features by absolute path,
                or an open store: files that are there are fused, with any
                fuser, and not encoded. Their size is logged before the run
            max_pixels (MAX_PIXELS): images with more are not read
            skip_identical (True): whether a file with the same content as one
                shortly before takes its vectors, see :func:`.engine.stream`

        Raises:
            TypeError: if ``paths`` is one path
            ValueError: if ``max_pixels`` is below 1, ``out`` belongs to another
                space, or ``features`` to another backbone or cover, or the disk
                has too little room for them
            RuntimeError: if the disk is full while features are stored, or not even
                one patch fits on the device
        """
        return embed_files(
            self, paths, progress, batch_size, num_workers, out, features,
            max_pixels, skip_identical,
        )

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
    ) -> DetailEmbedder:
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
            read(directory / _FUSER, _make_fuser),
        )
        if space.slug != config["slug"]:
            raise ValueError(
                f"{directory} is the space {config['slug']}, but the weights "
                f"at hand make it {space.slug}: its vectors would not fit. Use "
                "the weights it was made with, or embed again"
            )
        return space


def _make_fuser(name: str, dim: int, **options: Any) -> Saved:
    if name == FewVectors.name:
        return FewVectors(dim, **options)
    return fusers.create(name, dim, **options)
