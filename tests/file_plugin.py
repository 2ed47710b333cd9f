"""A test file stays in one worker of pytest-xdist; how long each took is printed."""

import os
from collections import Counter

import pytest

_APP = "tests/e2e"  # one browser and one App for all of its files
_LONG = (_APP, "tests/flow", "tests/distributed", "tests/demo")  # start first
_seconds: Counter[str] = Counter()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Gives workers whole files, and the App's tests to one of them."""
    from xdist.scheduler import LoadScopeScheduling

    class WholeFiles(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return _APP if nodeid.startswith(_APP) else nodeid.split("::")[0]

    config.option.loadscopereorder = False  # as many tests, as few minutes
    return WholeFiles(config, log)


def pytest_collection_modifyitems(items):
    """Lets workers begin with what takes long, so that they end together."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=_place)


def _place(item):
    found = (i for i, folder in enumerate(_LONG) if item.nodeid.startswith(folder))
    return next(found, len(_LONG))


def pytest_runtest_logreport(report):
    """Adds up what setting up, running and cleaning up takes."""
    _seconds[report.nodeid.split("::")[0]] += report.duration


def pytest_terminal_summary(terminalreporter, config):
    """Prints the files' times, if tests' are asked for by ``--durations``."""
    if config.option.durations is None or not _seconds:
        return
    terminalreporter.section("seconds of each file")
    for file, seconds in _seconds.most_common():
        terminalreporter.write_line(f"{seconds:8.1f}  {file}")
