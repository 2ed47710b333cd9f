"""Files to detail embeddings: an embedding space that is fitted, and that embeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.features import FeatureStore
from detail_embed.fusers.sample import FitSample
from detail_embed.images.image_file import MAX_PIXELS
from detail_embed.images.read_pool import READ_SECONDS
from detail_embed.space import fit_sample
from detail_embed.space.choose_fuser import CANDIDATES, FuserChoice, choose_fuser
from detail_embed.space.embed_files import EmbedResult, embed_files, read_paths
from detail_embed.space.embedding_space import EmbeddingSpace
from detail_embed.texts.text_cache import encode_vocabulary
from detail_embed.texts.vocabulary import Vocabulary
from detail_embed.training import fit


class DetailEmbedder(EmbeddingSpace):
    """Turns files into detail embeddings; fits or chooses the fuser that does it.

    Args: as of :class:`.embedding_space.EmbeddingSpace`.
    """

    def fit(
        self,
        paths: Sequence[str | Path],
        proxies: Sequence[str] | None = None,
        max_images: int = 200,
        max_patches: int = 20_000,
        seed: int = 0,
        options: EncodeOptions = DEFAULT,
    ) -> DetailEmbedder:
        """Fits the fuser on a sample of files; changes the slug.

        Args:
            paths: files to draw the sample from
            proxies (None): words the fuser may be fitted on (for ``ridge``)
            max_images (200): size of the sample, at most
            max_patches (20000): the sample ends where it has as many, for
                memory's sake
            seed (0): of the sample
            options (DEFAULT): how files are read and encoded

        Returns:
            the embedder itself

        Raises:
            TypeError: if ``paths`` is one path, or holds something else
            ValueError: if no file can be read, or the fuser lacks what it needs
        """
        paths = read_paths(paths)
        if not self.fuser.needs_fit:
            return self
        sample = self._sample(paths, max_images, max_patches, seed, options)
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
        fit(self.fuser, FitSample.of_images(images, mask, texts))
        return self

    def choose_fuser(
        self,
        paths: Sequence[str | Path],
        vocabulary: Vocabulary | None = None,
        candidates: Sequence[str] = CANDIDATES,
        max_images: int = 200,
        max_patches: int = 40_000,
        seed: int = 0,
        options: EncodeOptions = DEFAULT,
        counts: Sequence[int] = (),
    ) -> FuserChoice:
        """Replaces the fuser by the one that does best on a sample of files.

        Where a few vectors are chosen, it is replaced by the fuser that makes them;
        that of one vector is in the answer, too.

        Args:
            paths: files to draw the sample from
            vocabulary (None): see :func:`~detail_embed.space.choose_fuser.choose_fuser`
            candidates (("mean", "gmp", "ridge")): names of fusers
            max_images (200): size of the sample, at most
            max_patches (40000): see :meth:`fit`
            seed (0): of the sample
            options (DEFAULT): how files are read and encoded
            counts (()): numbers of vectors per image to choose from, beside one

        Returns:
            the fitted fuser, its report card and the reason in words

        Raises:
            TypeError: if ``paths`` is one path, or holds something else
            ValueError: if no file can be read, or no fuser can be fitted
        """
        paths = read_paths(paths)
        sample = self._sample(paths, max_images, max_patches, seed, options)
        return self._choose(sample, vocabulary, candidates, counts)

    def choose_stored(
        self,
        store: FeatureStore,
        ids: Sequence[str],
        vocabulary: Vocabulary | None = None,
        candidates: Sequence[str] = CANDIDATES,
        max_patches: int = 40_000,
        counts: Sequence[int] = (),
    ) -> FuserChoice:
        """Chooses as :meth:`choose_fuser` does, on stored patch features.

        Args and errors: as of :meth:`choose_fuser` and :meth:`fit_stored`.
        """
        sample = self._stored(store, ids, max_patches)
        return self._choose(sample, vocabulary, candidates, counts)

    def _choose(
        self,
        sample: tuple[Tensor, Tensor],
        vocabulary: Vocabulary | None,
        candidates: Sequence[str],
        counts: Sequence[int],
    ) -> FuserChoice:
        choice = choose_fuser(self.backbone, *sample, vocabulary, candidates, counts)
        self.fuser = choice.few or choice.fuser
        return choice

    def _sample(
        self, paths: Sequence[str | Path], max_images: int, max_patches: int,
        seed: int, options: EncodeOptions,
    ) -> tuple[Tensor, Tensor]:
        chosen = fit_sample.draw(paths, max_images, seed)
        return fit_sample.of_files(
            chosen, self.backbone, self.cover, max_patches, options
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
        read_seconds: float = READ_SECONDS,
    ) -> EmbedResult:
        """Embeds files.

        Args:
            paths: ``n`` image files, or objects of a store (``s3://``, ``gs://``,
                ``abfs://``), with credentials from the environment
            progress (False): whether to show a progress bar
            batch_size (None): patches per forward pass
            num_workers (None): decoding threads
            out (None): a folder that keeps finished chunks, so that a second
                run embeds only what is missing. A file counts as done by its
                path; one that could not be read is tried again
            features (None): a folder that keeps patch features by absolute path,
                or an open store: files that are there are fused, with any
                fuser, and not encoded. Their size is logged before the run
            max_pixels (MAX_PIXELS): images with more are read by parts, which needs
                rasterio
            skip_identical (True): whether a file with the same content as one
                shortly before takes its vectors, see :func:`.engine.stream`
            read_seconds (READ_SECONDS): that a file may be waited for, as on a network

        Raises:
            TypeError: if ``paths`` is one path, or holds something else
            ValueError: if ``max_pixels`` is below 1, ``read_seconds`` is not above 0,
                ``out`` belongs to another
                space, or ``features`` to another backbone or cover, or the disk
                has too little room for them
            RuntimeError: if the disk is full while features are stored, or not even
                one patch fits on the device
        """
        options = EncodeOptions(
            batch_size=batch_size, num_workers=num_workers, max_pixels=max_pixels,
            skip_identical=skip_identical, read_seconds=read_seconds,
        )
        return embed_files(self, paths, progress, out, features, options)
