"""Teaching an index: what a person judged, what it learns, what to judge next."""

from detail_embed.fiftyone_bridge.teach.teach import teach

__all__ = ["teach"]
