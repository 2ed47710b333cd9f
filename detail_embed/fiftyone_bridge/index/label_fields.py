"""The fields of labels that a person, or a model, gave: those that are not ours."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.index import names, records
from detail_embed.fiftyone_bridge.samples.app_defaults import is_ours
from detail_embed.fiftyone_bridge.samples.frames import Frames, Home
from detail_embed.fiftyone_bridge.samples.private_names import dataset_of


def label_fields(
    samples: foc.SampleCollection | Home, kinds: type | tuple[type, ...] = fo.Label
) -> list[str]:
    """Names of the fields of labels, sorted; what detail-embed made for itself is none.

    Vectors, hits, places and grades are such; what it was asked to predict is not.

    Args:
        samples: a dataset or view; of frames of videos, theirs
        kinds (fiftyone.Label): of labels
    """
    of_frames = isinstance(samples, Frames)
    dataset = samples.dataset if of_frames else dataset_of(samples)
    keys = records.read_all(dataset)
    vectors = {names.patches_field(key) for key in keys}
    schema = samples.get_field_schema(embedded_doc_type=kinds)
    return sorted(
        name for name, field in schema.items()
        if name not in vectors and not is_ours(field)
    )
