"""Which windows of an image are looked at, and their pixels."""

from detail_embed.cover.complete_cover import CompleteCover

__all__ = ["CompleteCover"]
