"""The page of the panel: every call that it gives for Python can be made so."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo
import pytest

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "panel.md").read_text("utf-8")
WHAT_IT_DOES = PAGE.partition("\n## Prompts")[0]
TABLE = [line for line in WHAT_IT_DOES.splitlines() if line.startswith("|")][2:]
CALLS = [
    code for line in TABLE
    for code in re.findall(r"`([^`]+)`", line.split("|", 2)[2]) if code[0] != "."
]


def called(node):
    """What the call of a snippet calls; of a chain, the innermost that is ours."""
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):
        return called(node.func.value)
    source = ast.unparse(node.func)
    if isinstance(node.func, ast.Call):
        name = node.func.args[0].value
        return node, foo.get_operator(f"@detail/detail-embed/{name}").__call__
    if source.startswith("dataset."):
        return node, getattr(fo.Dataset, source.removeprefix("dataset."))
    module, _, name = source.rpartition(".")
    return node, getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("code", CALLS)
def test_a_call_can_be_made(code):
    node, function = called(ast.parse(code, mode="eval").body)
    self = ["dataset"] if ast.unparse(node.func).startswith("dataset.") else []
    arguments = [*self, *(ast.unparse(a) for a in node.args)]
    keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
    inspect.signature(function).bind(*arguments, **keywords)


def test_the_table_is_whole():
    operators = set(re.findall(r'operator\("(\w+)"\)', " ".join(CALLS)))
    panel = Path(__file__).resolve().parents[3] / "operators" / "panel"
    texts = " ".join(path.read_text("utf-8") for path in panel.rglob("*.py"))
    asked = set(re.findall(r'(?:ask|_with_index|_about)\(\s*ctx, "(\w+)"', texts))
    assert len(asked) > 8 and asked <= operators
