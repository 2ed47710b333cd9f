"""The choices of encoding, as they come from a form, and what is wrong with some."""

import pytest

from detail_embed.engine.encode_options import DEFAULT, EncodeOptions
from detail_embed.images.image_file import MAX_PIXELS


def test_what_a_form_leaves_open_takes_its_default():
    params = {
        "brain_key": "detail", "device": "", "batch_size": None, "num_workers": 3,
        "skip_identical": False,
    }
    found = EncodeOptions.from_params(params)
    assert found == EncodeOptions(num_workers=3, skip_identical=False)
    assert EncodeOptions.from_params({}) == DEFAULT
    assert DEFAULT.max_pixels == MAX_PIXELS


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"num_workers": 2.0}, "num_workers must be a whole number"),
        ({"device": 3}, "device must be a text"),
        ({"device": "gpu9"}, "gpu9"),
        ({"precision": None}, "precision must be a text"),
        ({"max_pixels": 0}, "max_pixels=0"),
    ],
)
def test_an_error_names_the_option(wrong, message):
    DEFAULT.check_options()
    with pytest.raises(ValueError, match=message):
        EncodeOptions(**wrong).check_options()
