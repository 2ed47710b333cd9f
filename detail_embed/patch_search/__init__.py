"""Search among all patches, re-ranking, and where it matches."""

from detail_embed.patch_search.patch_index import PatchIndex

__all__ = ["PatchIndex"]
