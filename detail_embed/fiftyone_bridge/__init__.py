"""What ties the library to FiftyOne; the only part that knows it."""

__all__ = ["DetailIndex"]


def __getattr__(name: str):
    """Loads FiftyOne and torch only when they are needed."""
    if name in __all__:
        from detail_embed.fiftyone_bridge import detail_index

        return getattr(detail_index, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
