"""Find small things in big pictures: detail-injected CLIP embeddings."""

__version__ = "0.1.0"
__all__ = ["DetailEmbedder", "EmbedResult"]


def __getattr__(name: str):
    """Loads torch only when it is needed."""
    if name in __all__:
        from detail_embed import space

        return getattr(space, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
