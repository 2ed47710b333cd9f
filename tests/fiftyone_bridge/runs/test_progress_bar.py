"""Where a run shows a progress bar."""

import fiftyone as fo
import fiftyone.operators as foo
import pytest

from detail_embed.backbone.bundled_model import NAME
from detail_embed.fiftyone_bridge.runs.run import Progress, Run


def steps():
    yield Progress("half of it", 0.5)
    return "done"


@pytest.mark.parametrize("progress, setting, is_shown", [
    (None, True, True), (None, False, False), (True, False, True), (False, True, False),
])
def test_none_follows_fiftyones_setting(
    progress, setting, is_shown, monkeypatch, capfd
):
    monkeypatch.setattr(fo.config, "show_progress_bars", setting)
    assert Run(steps()).finish(progress) == "done"
    assert ("half of it" in capfd.readouterr().err) is is_shown


@pytest.mark.parametrize("setting", [True, False])
def test_operators_called_from_python_follow_it(
    setting, dataset, monkeypatch, capfd
):
    monkeypatch.setattr(fo.config, "show_progress_bars", setting)
    compute = foo.get_operator("@detail/detail-embed/compute_detail_embeddings")
    compute(dataset[:2], backbone=NAME, cover=1, fuser="mean", device="cpu")
    assert ("100%" in capfd.readouterr().err) is setting
