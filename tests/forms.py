"""Forms of operators as a person meets them, for tests."""

from __future__ import annotations

from fiftyone.operators import types


def problems_of(form: types.Property) -> list[str]:
    """What a form complains about, beside its fields or below them."""
    return [_said(one) for one in form.type.properties.values() if one.invalid]


def field_of(form: types.Property) -> str:
    """The name of the one field that a form complains about."""
    (name,) = (k for k, one in form.type.properties.items() if one.invalid)
    return name


def _said(field: types.Property) -> str:
    return field.error_message.strip() or field.view.description
