"""What the inputs under Advanced are called."""

from __future__ import annotations

LABELS = {
    "pretrained": "Weights",
    "allow_random_weights": "Allow random weights",
    "cover": "Complete Cover",
    "spacing": "Spacing of the windows",
    "patches_field": "Boxes of a label field",
    "padding": "Padding of the boxes",
    "skip_flat": "Leave flat windows out",
    "skip_identical": "Embed identical files once",
    "vectors": "Vectors per image",
    "vectors_by": "How they are made",
    "fuser": "How one vector is made",
    "proxies": "Vocabulary",
    "proxy_field": "Classes of a label field",
    "keep_features": "Keep patch features",
    "also_global": "Index whole-image vectors too",
    "overwrite": "Start over",
    "backend": "Similarity backend",
    "device": "Device",
    "batch_size": "Batch size",
    "max_pixels": "Largest image",
    "read_seconds": "Time limit of a file",
    "shards": "Shards",
}

TIME_LIMIT = (
    "In seconds. A file of a network that gives nothing for so long is left out, with "
    "its reason"
)
