"""The check of GPUs, run in small sizes on the CPU: that the script itself works."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "gpu_check.py"
# what a bare GPU machine does not have
MISSING = (
    "fiftyone", "pymongo", "matplotlib", "pyarrow", "platformdirs", "cv2", "pandas",
    "transformers", "sentencepiece", "sklearn", "scipy", "ray", "skimage",
)


@pytest.fixture(scope="module")
def gpu_check():
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def report_class():
    path = ROOT / "tools" / "_gpu_check" / "report.py"
    spec = importlib.util.spec_from_file_location("report", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Report


def test_all_sections_pass_on_a_cpu(gpu_check, tmp_path):
    """Each in a process of its own, as on a GPU."""
    path = tmp_path / "found.json"
    found = subprocess.run(
        [sys.executable, SCRIPT, "--cpu", "--json", path], text=True,
        capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )
    failed = [line for line in found.stdout.splitlines() if line.startswith("FAIL")]
    assert not failed and found.returncode == 0, found.stdout + found.stderr
    results = json.loads(path.read_text())
    assert list(results) == list(gpu_check.SECTIONS)
    for name, section in results.items():
        assert section["checks"] and section["seconds"] > 0, name
        for check in section["checks"]:
            assert set(check) == {"status", "name", "value", "threshold"}
            line = f"{check['status']} {check['name']} "
            assert any(one.startswith(line) for one in found.stdout.splitlines())
    statuses = {c["status"] for s in results.values() for c in s["checks"]}
    assert statuses == {"PASS", "SKIP"}
    sizes = [row[0] for row in results["throughput"]["tables"]["Throughput"][1:]]
    assert sizes == [[320, 320], [200, 150], "mixed"]


def test_the_deadlines_are_8_minutes_together(gpu_check):
    assert sum(seconds for *_, seconds in gpu_check.SECTIONS.values()) <= 480


def test_a_section_that_takes_too_long_or_dies_fails(gpu_check, capfd):
    late = gpu_check.in_process("facts", True, 0.05)
    assert [check["status"] for check in late["checks"]] == ["FAIL"]
    assert late["checks"][0]["value"] == "it took more than 0.05 s"
    dead = gpu_check.in_process("gone", True, 30)
    assert dead["checks"][0]["value"] == "it ended with 2"
    assert "FAIL section gone" in capfd.readouterr().out


def test_one_failure_is_an_exit_of_1(gpu_check, tmp_path, capsys):
    def results(*statuses):
        checks = [{"status": s, "name": "a", "value": 1, "threshold": "<=0"}
                  for s in statuses]
        return {"section": {"checks": checks, "tables": {}}}

    path = tmp_path / "found.json"
    assert gpu_check.summarise(results("PASS", "SKIP"), 1, path) == 0
    assert gpu_check.summarise(results("PASS", "FAIL"), 1, path) == 1
    assert "1 PASS, 1 FAIL, 0 SKIP" in capsys.readouterr().out


def test_checks_are_lines_of_status_name_value_and_threshold(
    report_class, tmp_path, capsys
):
    report = report_class(tmp_path / "found.json")
    report.at_least("cosine", 0.5, 0.9)
    report.at_most("error", 0.5, 0.9)
    report.at_least("cosine of nothing", float("nan"), 0.9)
    report.at_most("error of nothing", float("nan"), 0.9)
    report.equal("same", True, True)
    report.skip("second GPU", "there is none")
    with report.guarded("broken"):
        raise ValueError("first line\nsecond line")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "FAIL cosine 0.5 >=0.9", "PASS error 0.5 <=0.9",
        "FAIL cosine of nothing nan >=0.9", "FAIL error of nothing nan <=0.9",
        "PASS same True ==True", "SKIP second GPU there is none -",
        "FAIL broken ValueError: first line no error",
    ]
    kept = json.loads((tmp_path / "found.json").read_text())["checks"]
    assert [check["status"] for check in kept] == [line.split()[0] for line in lines]


def test_a_bare_machine_has_all_that_it_imports(gpu_check):
    modules = sorted({module for module, *_ in gpu_check.SECTIONS.values()})
    code = (
        "import sys, importlib\n"
        f"sys.modules.update(dict.fromkeys({MISSING!r}))\n"
        f"sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tools')!r}]\n"
        f"for name in {modules!r}: importlib.import_module('_gpu_check.' + name)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
