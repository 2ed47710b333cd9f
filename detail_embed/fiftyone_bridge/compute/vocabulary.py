"""The words that fusers are fitted on, and compared by."""

from __future__ import annotations

import fiftyone as fo
import fiftyone.core.collections as foc

from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.fiftyone_bridge.samples.private_names import label_path
from detail_embed.space.choose_fuser import default_vocabulary
from detail_embed.texts.vocabulary import Vocabulary


def vocabulary(settings: Settings, samples: foc.SampleCollection) -> Vocabulary:
    """Lists the words as given, then the classes of the label field.

    The order matters: the wordings of one thing belong next to each other, see
    :mod:`detail_embed.fusers.ridge`. Classes come with their parts; without words
    and label field it is the commonest nouns.

    Args:
        settings: has the words, and names the field
        samples: a dataset or view with the field

    Raises:
        ValueError: if the field is no label field, or has no labels
    """
    own = Vocabulary.from_words(settings.proxies) if settings.proxies else None
    field = settings.proxy_field
    if not field:
        return own or default_vocabulary()
    classes = Vocabulary.from_classes(_classes(samples, field), field)
    return own + classes if own else classes


def _classes(samples: foc.SampleCollection, field: str) -> list[str]:
    schema = samples.get_field_schema(embedded_doc_type=fo.Label)
    if field not in schema:
        raise ValueError(
            f"{field!r} is no label field; choose one of {sorted(schema)}, or pass "
            "words"
        )
    classes = samples.distinct(label_path(samples, field, "label"))
    if not classes:
        raise ValueError(f"label field {field!r} holds no labels; pass words instead")
    return sorted(classes)
