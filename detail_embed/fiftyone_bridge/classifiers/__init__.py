"""Classifiers that are trained on a label field, and applied to samples."""

__all__ = ["apply_classifier", "train_classifier"]


def __getattr__(name: str):
    """Loads what is asked for, and no more."""
    if name == "train_classifier":
        from detail_embed.fiftyone_bridge.classifiers.train import train_classifier

        return train_classifier
    if name == "apply_classifier":
        from detail_embed.fiftyone_bridge.classifiers.apply import apply_classifier

        return apply_classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
