"""The frozen model: patches and texts to unit features of one space."""

from detail_embed.backbone.backbone import Backbone

__all__ = ["Backbone"]
