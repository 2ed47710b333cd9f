"""What docstrings refer to exists, wherever it was moved."""

import ast
import re

from tests.test_house import files

ROLE = re.compile(r":(?:func|class|meth|mod|data|attr):`~?\.?([\w.]+)`")
OTHERS = ("fiftyone", "torch", "numpy", "PIL")


def _defined(body, prefix):
    """The names that statements define, with the prefix."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield f"{prefix}.{node.name}"
            if isinstance(node, ast.ClassDef):
                yield from _defined(node.body, f"{prefix}.{node.name}")
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = [node.target] if hasattr(node, "target") else node.targets
            for name in (n for target in targets for n in ast.walk(target)):
                if isinstance(name, ast.Name):
                    yield f"{prefix}.{name.id}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{prefix}.{name.asname or name.name}" for name in node.names)


def _ends(names):
    """``a.b.c``, ``b.c`` and ``c``, as a reference may be shortened."""
    return {
        ".".join(parts[start:])
        for parts in (name.split(".") for name in names)
        for start in range(len(parts))
    }


def test_references_of_docstrings_exist():
    sources = files("detail_embed", "operators")
    names = set(sources)
    for module, path in sources.items():
        names.update(_defined(ast.parse(path.read_text()).body, module))
    known = _ends(names)
    wrong = [
        f"{path.name}:{number} {reference}"
        for path in sources.values()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for reference in ROLE.findall(line)
        if reference not in known and not reference.startswith(OTHERS)
    ]
    assert wrong == []
    assert "compute_index.compute" in known and "index.compute" not in known
