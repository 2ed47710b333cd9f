"""The model that encodes queries for a detail-embed index."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

import fiftyone.core.models as fom
import numpy as np
import torch

from detail_embed.backbone import Backbone
from detail_embed.backbone.dense import encode_windows
from detail_embed.backbone.devices import resolve_device
from detail_embed.cover.patches import extract_patches, relative_boxes
from detail_embed.fiftyone_bridge.model.zoo import SPACES
from detail_embed.space.embedding_space import EmbeddingSpace
from detail_embed.space.space_file import read_config
from detail_embed.texts.query_signs import HASHES

_loading = threading.Lock()


class DetailModel(fom.Model, fom.EmbeddingsMixin, fom.PromptMixin):
    """Texts and images as vectors of one embedding space.

    FiftyOne makes this model whenever an index is computed or loaded, so the
    backbone is loaded only when the first query arrives. It stays in memory for
    the next query.

    Args:
        name: slug of the space
        directory: the folder of the zoo source that holds the space
        device ("auto"): where the backbone shall run
    """

    def __init__(self, name: str, directory: str | Path, device: str = "auto"):
        self.name = name
        self._directory = Path(directory) / SPACES / name
        self._device = device
        self._last = None

    @property
    def space(self) -> EmbeddingSpace:
        """The space, loaded when it is first used; once, also by several threads."""
        with _loading:
            return _load(self._directory, self._device)

    @property
    def media_type(self) -> str:
        """What FiftyOne may pass to :meth:`embed`."""
        return "image"

    @property
    def has_embeddings(self) -> bool:
        """Whether the model embeds images."""
        return True

    @property
    def can_embed_prompts(self) -> bool:
        """Whether the model embeds texts."""
        return True

    @property
    def ragged_batches(self) -> bool:
        """Whether images of several sizes must not be passed together."""
        return False

    @property
    def transforms(self) -> None:
        """Nothing is left for FiftyOne to prepare."""
        return None

    @property
    def preprocess(self) -> bool:
        """Nothing is left for FiftyOne to prepare."""
        return False

    @preprocess.setter
    def preprocess(self, value: bool) -> None:
        pass

    def predict(self, arg: np.ndarray) -> None:
        """Embeds an image for :meth:`get_embeddings`; there is nothing to predict."""
        self.embed(arg)

    def get_embeddings(self) -> np.ndarray:
        """The vector of the last image, ``(1, d)`` float32."""
        return self._last[np.newaxis]

    def embed(self, arg: np.ndarray) -> np.ndarray:
        """Embeds an image as the images of the index were embedded.

        Where these have a few vectors each, an image to search by is a thing to find
        in them: its one vector is that of the whole.

        Args:
            arg: ``(h, w, 3)`` uint8 RGB

        Returns:
            ``(d,)`` float32, unit length

        Raises:
            ValueError: if the array is no such image
        """
        pixels = np.asarray(arg)
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise ValueError(
                "an image must be a (height, width, 3) uint8 array, not "
                f"{pixels.shape} {pixels.dtype}"
            )
        space = self.space
        image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
        with torch.inference_mode():
            boxes = space.cover.boxes(image.shape[2], image.shape[1])
            image = image.to(space.backbone.device)
            if space.cover.is_dense:
                features = encode_windows(space.backbone, image, boxes)
            else:
                patches = extract_patches(
                    image, space.cover, space.backbone.patch_spec
                )
                features = space.backbone.encode_patches(patches)
            boxes = relative_boxes(boxes)[None].to(features.device)
            vector = space.fuser.fuse_query(features[None], boxes=boxes)[0]
            self._last = found = vector.cpu().numpy()
        return found  # another thread may have embedded since

    def embed_prompt(self, arg: str) -> np.ndarray:
        """Embeds one text; see :meth:`embed_prompts`."""
        return self.embed_prompts([arg])[0]

    def embed_prompts(self, args: list[str]) -> np.ndarray:
        """Embeds texts as a user types them; templates are put around them here.

        Args:
            args: ``n`` texts

        Returns:
            ``(n, d)`` float32, unit length

        Raises:
            ValueError: if one is the name of a concept, which this model cannot know
        """
        for text in args:
            if isinstance(text, str) and text.lstrip()[:1] in tuple(HASHES):
                raise ValueError(
                    f"{text!r:.80} names a concept, which is kept by a dataset: "
                    "FiftyOne's own search does not know it. Search in the panel "
                    "Detail Search, by index.search(), or for a text without the #"
                )
        return self.space.encode_texts(list(args)).cpu().numpy()


@lru_cache(maxsize=4)
def _load(directory: Path, device: str) -> EmbeddingSpace:
    """Loads a space; two spaces of one backbone share it."""
    config = read_config(directory)["backbone"]
    backbone = _load_backbone(config["name"], config["pretrained"], device)
    return EmbeddingSpace.load(directory, backbone=backbone)


@lru_cache(maxsize=1)
def _load_backbone(name: str, pretrained: str | None, device: str) -> Backbone:
    """On a CPU in fp32 by torch: a query is one image, and is to be the same always."""
    if resolve_device(device).type == "cpu":
        return Backbone.load(name, pretrained, device="torch", precision="fp32")
    return Backbone.load(name, pretrained, device=device)
