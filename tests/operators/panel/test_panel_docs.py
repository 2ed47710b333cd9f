"""The page of the panel names every operator that the panel opens."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_whole():
    page = (ROOT / "docs" / "panel.md").read_text("utf-8")
    named = set(re.findall(r'operator\("(\w+)"\)', page))
    named |= set(re.findall(r"detail-embed/(\w+)", page))
    files = (ROOT / "operators" / "panel").rglob("*.py")
    texts = " ".join(path.read_text("utf-8") for path in files)
    asked = set(re.findall(r'(?:ask|_with_index|_about)\(\s*ctx, "(\w+)"', texts))
    assert len(asked) > 8 and asked <= named
