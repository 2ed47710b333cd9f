"""Whether weights, once they are in a file of one's own, mean the same."""

from __future__ import annotations

import open_clip

from detail_embed.backbone.weights import preprocessing_of, usual_preprocessing


def architecture_of(name: str, pretrained: str | None) -> str:
    """The architecture by which a changed copy of some weights is to be loaded.

    A tag of open_clip may come with another activation, or want its images otherwise,
    than a file of the same architecture: that would be wrong without a word.

    Args:
        name: an open_clip architecture
        pretrained: tag or path

    Raises:
        ValueError: if there is none
    """
    if ":" in name:
        raise ValueError(
            f"{name!r} is loaded as a whole, and cannot take weights of a file: give "
            "an architecture of open_clip, such as ViT-B-32, and its weights"
        )
    config = pretrained and open_clip.get_pretrained_cfg(name, pretrained)
    if not config:
        return name
    own = open_clip.get_model_config(name) or {}
    if config.get("quick_gelu") and not own.get("quick_gelu"):
        if f"{name}-quickgelu" not in open_clip.list_models():
            raise ValueError(
                f"the weights {pretrained!r} of {name} need QuickGELU, which a file "
                "cannot say: choose other weights"
            )
        name = f"{name}-quickgelu"
    wanted, usual = preprocessing_of(config), usual_preprocessing(name)
    if usual and wanted != usual:
        raise ValueError(
            f"the weights {pretrained!r} of {name} want their images otherwise than "
            "most of that architecture, which a file cannot say: choose other weights"
        )
    return name
