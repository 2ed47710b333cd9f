"""What the parts of the panel ask of each other is done by one of them."""

import sys


def test_every_shared_method_is_done_by_one_part(panel):
    base = sys.modules[f"{type(panel).__module__}.base"].PanelBase
    shared = [name for name in vars(base) if not name.startswith("__")]
    parts = [part for part in type(panel).__mro__ if issubclass(part, base)]
    for name in shared:
        done = [part for part in parts if part is not base and name in vars(part)]
        assert len(done) == 1, (name, done)
    assert len(shared) > 10
