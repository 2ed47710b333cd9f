"""Embeds lists of files on a Ray cluster."""

from detail_embed.distributed.run import embed

__all__ = ["embed"]
