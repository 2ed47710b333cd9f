"""What tests of the vectors of an index share."""

import pytest

from detail_embed.fiftyone_bridge.samples import vector_field


@pytest.fixture
def reads(monkeypatch):
    """How often all vectors were read out of MongoDB."""
    calls, read = [], vector_field.read

    def counted(*arguments):
        calls.append(1)
        return read(*arguments)

    monkeypatch.setattr(vector_field, "read", counted)
    return calls
