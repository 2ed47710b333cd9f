"""Tags of images, and of labels, that stay: one way to give them and to take them away.

FiftyOne keeps the tags that frames of videos get in the copy which a view shows, and
makes that anew; so those of frames go to the frames of the videos, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.samples import label_attributes
from detail_embed.fiftyone_bridge.samples.collection import flat_images
from detail_embed.fiftyone_bridge.samples.frames import Frames, home_of, label_path


def tag_images(images: foc.SampleCollection, tag: str, untag: bool = False) -> int:
    """Tags images, or takes the tag away.

    Args:
        images: a dataset or view of images
        tag: the tag
        untag (False): whether to take it away

    Returns:
        how many had not, or had, the tag before
    """
    had = len(images.match_tags(tag))
    changed = had if untag else len(images) - had
    (images.untag_samples if untag else images.tag_samples)(tag)
    home = home_of(images)
    if isinstance(home, Frames):
        home.keep_tags(images)
    return changed


def had_before(
    images: foc.SampleCollection, ids: Sequence[str], tag: str
) -> tuple[str, ...]:
    """What to know where images other than some have a tag: it is not of this run."""
    count = len(images.match_tags(tag).exclude(list(ids)))
    if not count:
        return ()
    return (f"{count} other images have the tag '{tag}' from before.",)


def tag_labels(
    samples: foc.SampleCollection,
    field: str,
    sample_ids: Sequence[str],
    label_ids: Sequence[str],
    tag: str,
    untag: bool = False,
) -> int:
    """Tags labels of a field, or takes the tag away.

    Args:
        samples: of the dataset
        field: of the labels
        sample_ids: of the images that they are in
        label_ids: of the labels
        tag: the tag
        untag (False): whether to take it away

    Returns:
        how many had not, or had, the tag before
    """
    home = home_of(samples)
    images = flat_images(home).select(list(dict.fromkeys(sample_ids)))
    labels = images.select_labels(ids=list(label_ids), fields=field)
    had = labels.count_label_tags(label_fields=field).get(tag, 0)
    (labels.untag_labels if untag else labels.tag_labels)(tag, label_fields=field)
    if isinstance(home, Frames):
        kept = label_attributes.read(labels, field, "tags")
        tags = {id: some for id, (some,) in kept.items()}
        home.set_label_values(label_path(home, field, "tags"), tags)
    return had if untag else len(label_ids) - had
