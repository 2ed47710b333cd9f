"""FiftyOne's private names that have no public counterpart, each behind a function.

They are those of FiftyOne 1.22 and fiftyone-brain 0.25. Nothing outside of this
package uses a name of FiftyOne that begins with an underscore, so what another version
has changed is put right here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.odm as foodm
import fiftyone.core.view as fov
import fiftyone.operators as foo
import numpy as np
from bson import ObjectId, json_util
from fiftyone.brain.similarity import Similarity, SimilarityIndex, _parse_config
from fiftyone.core.brain import BrainMethod, BrainResults
from pymongo import UpdateOne
from pymongo.collection import Collection


def dataset_of(samples: foc.SampleCollection) -> fo.Dataset:
    """The dataset that a collection is, or is a view of: ``_root_dataset``.

    Only a view has a public ``dataset_name``, and loading by name asks the database.

    Raises:
        TypeError: if it is no collection, such as the name of a dataset
    """
    return _collection(samples)._root_dataset


def is_generated(samples: foc.SampleCollection) -> bool:
    """Whether a view is of patches, clips or frames, not samples: ``_is_generated``.

    Raises:
        TypeError: as of :func:`dataset_of`
    """
    return _collection(samples)._is_generated


def is_frames(samples: foc.SampleCollection) -> bool:
    """Whether a view is of the frames of videos: ``_is_frames``.

    Raises:
        TypeError: as of :func:`dataset_of`
    """
    return _collection(samples)._is_frames


def is_patches(samples: foc.SampleCollection) -> bool:
    """Whether a view is of patches, of labels or of an evaluation: ``_is_patches``."""
    return _collection(samples)._is_patches


def is_clips(samples: foc.SampleCollection) -> bool:
    """Whether a view is of clips of videos: ``_is_clips``."""
    return _collection(samples)._is_clips


def frames_config(view: fov.DatasetView) -> dict[str, Any]:
    """How a view of frames was asked for: ``_frames_stage``."""
    return view._frames_stage.config or {}


def own_dataset(view: fov.DatasetView) -> fo.Dataset:
    """The dataset that FiftyOne generated for a view of frames: ``_dataset``."""
    return view._dataset


def base_of(view: fov.DatasetView) -> fov.DatasetView:
    """A view of frames before any other stage: ``_base_view``."""
    return view._base_view


def source_of(view: fov.DatasetView) -> foc.SampleCollection:
    """What patches, clips or frames were made of: ``_source_collection``."""
    return view._source_collection


def _collection(samples: foc.SampleCollection) -> foc.SampleCollection:
    if isinstance(samples, foc.SampleCollection):
        return samples
    wanted = "give a dataset or a view of one"
    if isinstance(samples, str):
        wanted = f"give the dataset itself, fo.load_dataset({samples!r}), or a view"
    raise TypeError(f"samples must be a collection of FiftyOne, not {samples!r:.80}: "
                    + wanted)


def dataset_id(dataset: fo.Dataset) -> ObjectId:
    """What a dataset is known by for good, unlike its name: ``_doc.id``."""
    return dataset._doc.id


def database_id() -> str:
    """What the database is known by for good: ``_id`` of its configuration."""
    found = foodm.get_db_conn().config.find_one({}, {"_id": 1})
    return str(found["_id"]) if found else ""


def dataset_names() -> dict[str, str]:
    """The names of all datasets by id: ``_id`` of their documents."""
    found = foodm.get_db_conn().datasets.find({}, {"name": 1})
    return {str(one["_id"]): one["name"] for one in found}


def dataset_with(sample_id: str) -> str | None:
    """The name of the dataset that has a sample: ``sample_collection_name``.

    It asks each dataset of the database: for messages of what went wrong.
    """
    database, wanted = foodm.get_db_conn(), {"_id": ObjectId(sample_id)}
    shown = {"name": 1, "sample_collection_name": 1}
    for one in database.datasets.find({}, shown):
        if database[one["sample_collection_name"]].find_one(wanted, {"_id": 1}):
            return one["name"]
    return None


def brain_run_id(dataset: fo.Dataset, brain_key: str | None) -> ObjectId | None:
    """What a brain run is known by until it is computed anew: ``_doc``.

    None where the dataset, as it was last loaded, has no such run.
    """
    run = dataset._doc.brain_methods.get(brain_key)
    return None if run is None else run.id


def stored_fields(dataset: fo.Dataset, frames: bool = False) -> set[str]:
    """The fields that the database says samples have now: ``_reload``, ``_doc``.

    The public ``reload()`` reads all samples in memory again as well.

    Args:
        dataset: the dataset
        frames (False): whether those of the frames of its videos are meant
    """
    dataset._reload()
    document = dataset._doc
    fields = document.frame_fields if frames else document.sample_fields
    return {field.name for field in fields}


def read_runs_again(dataset: fo.Dataset) -> None:
    """Reads the runs of a dataset, which other processes write, too: ``_reload``.

    The public ``reload()`` reads all samples in memory again as well.
    """
    dataset._reload()


def sample_documents(dataset: fo.Dataset) -> Collection:
    """The samples as MongoDB holds them: ``_sample_collection``.

    Reading vectors, and counting them, takes several times as long through FiftyOne.
    """
    return dataset._sample_collection


def frame_documents(dataset: fo.Dataset) -> Collection:
    """The frames of videos as MongoDB holds them: ``_frame_collection``."""
    return dataset._frame_collection


def write_samples(
    dataset: fo.Dataset,
    operations: Sequence[UpdateOne],
    ids: Sequence[str],
    frames: bool = False,
) -> None:
    """Changes samples in one bulk: ``_bulk_write``.

    The public ``set_values()`` makes a bulk of each field, so that a kill leaves
    samples half written.

    Args:
        dataset: the dataset
        operations: what MongoDB is to do
        ids: the samples that they change; those in memory are read again
        frames (False): whether these are frames of its videos
    """
    dataset._bulk_write(operations, ids=ids, frames=frames)


def stored_stages(dataset: fo.Dataset) -> list[list[dict[str, Any]]]:
    """The stages of the views of brain runs, then of saved ones: ``_doc``."""
    document = dataset._doc
    kept = [*document.get_brain_methods().values(), *document.get_saved_views()]
    return [[json_util.loads(one) for one in some.view_stages or ()] for some in kept]


def run_stages(dataset: fo.Dataset, brain_key: str) -> list[dict[str, Any]]:
    """The stages of the view that a brain run was made on: ``_doc``."""
    run = dataset._doc.get_brain_methods()[brain_key]
    return [json_util.loads(stage) for stage in run.view_stages or ()]


def pipeline(samples: foc.SampleCollection) -> list[dict[str, Any]]:
    """The MongoDB pipeline that makes a collection of its samples: ``_pipeline``."""
    return samples._pipeline()


def serialized(view: fov.DatasetView) -> list[dict[str, Any]]:
    """The stages of a view as JSON, as the App sends them: ``_serialize``."""
    return view._serialize()


def asks_for_target(ctx: foo.ExecutionContext) -> bool:
    """Whether a form has asked for its target view: ``_view_target_resolved``.

    It was new in FiftyOne 1.21; before, no form has such a choice.
    """
    return getattr(ctx, "_view_target_resolved", False)


def view_of(dataset: fo.Dataset, stages: Sequence[dict[str, Any]]) -> fov.DatasetView:
    """The view that :func:`serialized` gave the stages of: ``DatasetView._build``."""
    return fov.DatasetView._build(dataset, stages)


def label_type(samples: foc.SampleCollection, field: str) -> type[fo.Label]:
    """What a field of labels holds, such as Detections: ``_get_label_field_path``.

    Raises:
        ValueError: if it is no field of labels
    """
    return samples._get_label_field_path(field)[0]


def label_path(
    samples: foc.SampleCollection, field: str, attribute: str | None = None
) -> str:
    """The path to the labels of a field, in a list or not: ``_get_label_field_path``.

    Args:
        samples: the collection
        field: a field of labels
        attribute (None): of the labels, such as ``"label"``; None for the labels
            themselves

    Returns:
        such as ``"ground_truth.detections.label"``

    Raises:
        ValueError: if it is no field of labels
    """
    return samples._get_label_field_path(field, attribute)[1]


def has_results(dataset: fo.Dataset, brain_key: str) -> bool:
    """Whether a brain run is finished, without loading it: ``_get_run_doc``.

    Raises:
        ValueError: if there is no such run
    """
    return bool(BrainMethod._get_run_doc(dataset, brain_key).results)


def forget_results(dataset: fo.Dataset, brain_key: str) -> None:
    """Drops what is loaded of a brain run, as it is another now: ``_brain_cache``."""
    dataset._brain_cache.pop(brain_key, None)


def loaded_results(dataset: fo.Dataset) -> dict[str, BrainResults]:
    """What is loaded of brain runs, by their keys: ``_brain_cache``."""
    return dict(dataset._brain_cache)


def similarity_backend(name: str | None) -> Similarity:
    """A similarity backend as it is set up, None for the default: ``_parse_config``.

    Only ``compute_similarity()`` has public names for it, and that needs the vectors.
    """
    return _parse_config(name).build()


def nearest(index: SimilarityIndex, vector: np.ndarray, k: int) -> list[str]:
    """The samples nearest to a vector, best first: ``_kneighbors``.

    This is what ``sort_by_similarity`` does, without making a view of it.

    Args:
        index: the whole of it is searched
        vector: ``(d,)``
        k: how many vectors to find

    Returns:
        at most ``k`` sample ids; of an index of patches, one a patch
    """
    return index._kneighbors(query=vector[np.newaxis], k=k, aggregation="mean")[0]
