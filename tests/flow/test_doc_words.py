"""What README and docs name is there: options, paths, addresses, commands."""

import inspect
import json
import re
import shlex

import fiftyone.operators as foo
import pytest

from detail_embed.fiftyone_bridge.model.zoo_source import REPOSITORY
from tests.flow.documents import PAGES, ROOT, read, rows, spans


def _parameters():
    """The arguments of all operators and of what they make fusers of."""
    ours = [one for one in foo.list_operators() if "detail-embed" in str(one.uri)]
    calls = [inspect.signature(one) for one in ours if callable(one)]
    return {name for call in calls for name in call.parameters} | {"global_weight"}


@pytest.mark.parametrize("page", PAGES)
def test_options_and_paths_that_are_named_are_there(page):
    options = [s.split("=")[0] for s in spans(page) if re.fullmatch(r"\w+=\S+", s)]
    lower = [name for name in options if name == name.lower()]
    assert [name for name in lower if name not in _parameters()] == []
    paths = [s for s in spans(page) if re.fullmatch(r"(\w[\w.-]*/)+([\w.-]*)", s)]
    top = {path.name for path in ROOT.iterdir()}
    ours = [path for path in paths if path.split("/")[0] in top]
    assert [path for path in ours if not (ROOT / path).exists()] == []


def test_the_columns_of_words_are_arguments():
    (vectors, fuser, _, kept) = [r for r in rows("docs/panel.md")[-4:]]
    assert {vectors.text, fuser.text, kept.text} <= _parameters()


def test_the_address_is_said_in_one_place():
    assert f"fiftyone plugins download {REPOSITORY}\n" in read("README.md")
    known = re.compile(r"https://github\.com/[^/\s]+/detail-embed")
    for page in PAGES:
        assert set(known.findall(read(page))) <= {REPOSITORY}
    code = [*ROOT.glob("detail_embed/**/*.py"), *ROOT.glob("operators/**/*.py")]
    text = "".join(path.read_text("utf-8") for path in code)
    assert known.findall(text) == [REPOSITORY]


def test_make_knows_the_targets_and_pip_the_extras():
    pages = "".join(map(read, PAGES))
    makefile, project = read("Makefile"), read("pyproject.toml")
    lines = re.findall(r"^make .*|(?<=`)make [^`]*", pages, re.MULTILINE)
    assert len(lines) > 8
    for line in lines:
        for word in shlex.split(line, comments=True)[1:]:
            name, is_variable, _ = word.partition("=")
            known = rf"^{name} \?=" if is_variable else rf"^{name}:.*##"
            assert re.search(known, makefile, re.MULTILINE), line
    extras = set(re.findall(r"\.?\[(\w+)\]\"", pages))
    assert {"ray", "patches"} <= extras
    for extra in extras:
        assert f"\n{extra} = [" in project


def test_the_floor_of_fiftyone_is_the_same_everywhere():
    (floor,) = re.findall(r"^fiftyone>=(.*)$", read("requirements-dev.txt"), re.M)
    assert f'fiftyone = ["fiftyone>={floor}"]' in read("pyproject.toml")
    assert f'version: ">={floor}"' in read("fiftyone.yml")
    assert f"FiftyOne {floor} or newer" in read("README.md")


STARTS = """
import contextlib, io, json, runpy, sys
sys.path.insert(0, sys.argv[1])
options = json.loads(sys.argv[2])
for script, named in options.items():
    sys.argv, out = [script, "--help"], io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(out):
        runpy.run_path(script, run_name="__main__")
    assert out.getvalue().startswith("usage"), script
    unknown = [option for option in named if option not in out.getvalue()]
    assert not unknown, (script, unknown)
    isolated = "\\nisolate(" in open(script).read()
    assert isolated or "fiftyone" not in sys.modules, f"{script}: too early"
"""


@pytest.mark.slow
def test_every_benchmark_that_is_named_starts_and_knows_its_options(fresh_python):
    texts = " ".join(map(read, PAGES))
    named = {}
    for script, rest in re.findall(r"(benchmarks/\w+\.py)([^`\n;]*)", texts):
        named.setdefault(script, set()).update(re.findall(r"--[a-z-]+", rest))
    scripts = sorted(named, key=lambda s: "\nisolate(" in (ROOT / s).read_text("utf-8"))
    options = json.dumps({script: sorted(named[script]) for script in scripts})
    done = fresh_python(STARTS, ROOT / "benchmarks", options, folder=ROOT)
    assert len(scripts) > 8 and done.returncode == 0, done.stderr
