"""The house: which room may import which, read from the source itself.

``FLOORS`` is the one place where the order is written. A room imports rooms of lower
floors only, so there is no circle and no way back up; within a room files may import
each other, but not in a circle.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = "detail_embed"
BRIDGE = "fiftyone_bridge"
FLOORS = (
    ("storage", "cover", "evaluation"),
    ("images",),
    ("backbone", "features", "fusers"),
    ("texts", "training", "engine", "patch_search"),
    ("clver_ds", "classifiers", "concepts", "space"),
    ("adapt", "distributed", "fiftyone_bridge.samples", "fiftyone_bridge.model"),
    ("fiftyone_bridge.runs",),
    ("fiftyone_bridge.index",),
    ("fiftyone_bridge.concepts",),
    ("fiftyone_bridge.compute", "fiftyone_bridge.exchange", "fiftyone_bridge.search",
     "fiftyone_bridge.where"),
    ("fiftyone_bridge.curate", "fiftyone_bridge.evaluate", "fiftyone_bridge.teach",
     "fiftyone_bridge.video"),
    ("fiftyone_bridge.classifiers",),
    ("fiftyone_bridge.adapt",),
    ("fiftyone_bridge",),
    ("demo",),
    ("operators",),
)
ENTRANCE = LIBRARY  # detail_embed/__init__.py loads rooms when they are asked for
KNOWS_FIFTYONE = (BRIDGE, "demo", "operators")
LONGEST = 300

LEVEL = {room: level for level, floor in enumerate(FLOORS) for room in floor}


@cache
def files(*folders: str) -> dict[str, Path]:
    """The Python files of folders, by module name."""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


def room_of(module: str) -> str:
    """The room of a module, such as ``"cover"`` or ``"fiftyone_bridge.index"``."""
    top, *parts = module.split(".")
    if top != LIBRARY or not parts:
        return top
    is_in_bridge = parts[0] == BRIDGE and len(parts) > 1
    rooms = ".".join(parts[:2]) if is_in_bridge else parts[0]
    return rooms if rooms in LEVEL else parts[0]


@cache
def imports(module: str) -> tuple[str, ...]:
    """The modules that a module imports, anywhere in it."""
    path = files(LIBRARY, "operators")[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text("utf-8"))
    return tuple(
        name for node in ast.walk(tree) for name in _names(node, package)
    )


def _names(node: ast.AST, package: str) -> Iterator[str]:
    known = files(LIBRARY, "operators")
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if not isinstance(node, ast.ImportFrom):
        return
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*above, *filter(None, [node.module])])
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        yield inner if inner in known else base


def edges(*folders: str) -> Iterator[tuple[str, str]]:
    """Every import of one of our modules by another."""
    known = files(LIBRARY, "operators")
    for module in files(*folders):
        for imported in imports(module):
            if imported in known and imported != module:
                yield module, imported


def test_every_room_is_on_a_floor():
    rooms = {room_of(module) for module in files(LIBRARY, "operators")}
    assert rooms - {ENTRANCE} == set(LEVEL)


@pytest.mark.parametrize("room", LEVEL)
def test_a_room_imports_only_lower_floors(room):
    wrong = [
        f"{module} imports {imported}"
        for module, imported in edges(LIBRARY, "operators")
        if room_of(module) == room != room_of(imported)
        and not LEVEL.get(room_of(imported), -1) < LEVEL[room]
    ]
    assert not wrong


def test_no_files_import_each_other_in_a_circle():
    ways: dict[str, set[str]] = {}
    for module, imported in edges(LIBRARY, "operators"):
        ways.setdefault(module, set()).add(imported)
    assert _circle(ways) == []


def _circle(ways: dict[str, set[str]]) -> list[str]:
    """Modules in the order of a circle; empty where there is none."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return path[path.index(module) :] + [module]
        if module in done:
            return []
        for imported in sorted(ways.get(module, ())):
            if found := walk(imported, [*path, module]):
                return found
        done.add(module)
        return []

    return next(filter(None, (walk(module, []) for module in sorted(ways))), [])


def test_a_circle_is_found():
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert _circle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_fiftyone_stays_in_its_rooms():
    wrong = [
        f"{module} imports {imported}"
        for module in files(LIBRARY, "operators")
        if not room_of(module).startswith(KNOWS_FIFTYONE)
        for imported in imports(module)
        if imported.split(".")[0] == "fiftyone"
    ]
    assert not wrong


def test_the_library_knows_no_operator():
    assert not [edge for edge in edges(LIBRARY) if edge[1].startswith("operators")]


def test_what_works_on_an_index_takes_it_whole():
    above = [room for room in LEVEL if LEVEL[room] > LEVEL[f"{BRIDGE}.index"]]
    rooms = [room for room in above if room.startswith(f"{BRIDGE}.")]
    takers = [
        f"{module}.{node.name}"
        for room in rooms
        for module, path in files(f"{LIBRARY}/{room.replace('.', '/')}").items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and {"samples", "dataset"} & (names := {arg.arg for arg in node.args.args})
        and "brain_key" in names
    ]
    assert rooms and takers == []


def test_no_source_file_is_longer_than_300_lines():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in files(LIBRARY, "operators", "benchmarks", "tools").values()
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}
