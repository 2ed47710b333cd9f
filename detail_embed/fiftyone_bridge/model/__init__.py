"""An embedding space as a model of the FiftyOne zoo."""

from detail_embed.fiftyone_bridge.model.detail_model import DetailModel

__all__ = ["DetailModel"]
