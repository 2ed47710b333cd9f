"""Patch features that are kept on disk."""

from detail_embed.features.feature_store import FeatureStore

__all__ = ["FeatureStore"]
