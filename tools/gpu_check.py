"""Checks on a machine with a GPU all that is claimed for GPUs, in at most 8 minutes.

    make gpu-check
    python tools/gpu_check.py --json gpu-check.json
    python tools/gpu_check.py --sections cutting memory
    python tools/gpu_check.py --cpu         # small sizes, to check this script itself

It needs torch, open_clip, Pillow, numpy and simplejpeg: no FiftyOne, no MongoDB, and no
internet, for all weights are random. Each section is a process of its own with a
deadline. Prints tables, and lines of PASS, FAIL or SKIP with name, value and threshold;
ends with 1 if a line says FAIL.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_SLOWER = 5  # is a CPU, on which other tests run
SECTIONS = {  # module, function, seconds at most: 480 together
    "facts": ("facts", "run", 25),
    "cutting": ("cutting", "run", 50),
    "towers": ("towers", "run", 115),
    "streams": ("engine", "streams", 30),
    "memory": ("engine", "memory", 35),
    "throughput": ("speed", "throughput", 90),
    "stages": ("speed", "stages", 35),
    "modes": ("modes", "run", 80),
    "fusers": ("fusing", "run", 20),
}


def main(arguments: list[str] | None = None) -> int:
    """Runs the sections; returns 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", action="store_true", help="small sizes on the CPU")
    parser.add_argument("--json", type=Path, default=Path("gpu-check.json"),
                        help="file that all results are written to")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=[*SECTIONS])
    parser.add_argument("--one", choices=SECTIONS, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.one:
        run_section(chosen.one, chosen.cpu, chosen.json)
        return 0
    started, results = time.monotonic(), {}
    for name in chosen.sections:
        print(f"\n## {name}", flush=True)
        began = time.monotonic()
        deadline = SECTIONS[name][2] * (_SLOWER if chosen.cpu else 1)
        results[name] = in_process(name, chosen.cpu, deadline)
        results[name]["seconds"] = round(time.monotonic() - began, 1)
        chosen.json.write_text(json.dumps(results, indent=1))
    return summarise(results, time.monotonic() - started, chosen.json)


def run_section(name: str, cpu: bool, path: Path) -> None:
    """Runs a section in this process."""
    sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
    from _gpu_check.report import Report
    from _gpu_check.scale import Scale

    module, function, _ = SECTIONS[name]
    section = getattr(importlib.import_module(f"_gpu_check.{module}"), function)
    section(Report(path), Scale.choose(cpu))


def in_process(name: str, cpu: bool, deadline: float) -> dict[str, Any]:
    """Runs a section in a process of its own.

    Args:
        name: of the section
        cpu: whether in small sizes on the CPU
        deadline: seconds after which it is ended, which is a FAIL

    Returns:
        its checks and tables, those of before it was ended or died too
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        command = [sys.executable, __file__, "--one", name, "--json", str(path)]
        process = subprocess.Popen(command + ["--cpu"] * cpu)
        try:
            code = process.wait(deadline)
            problem = f"it ended with {code}" if code else None
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            problem = f"it took more than {deadline:g} s"
        found = {"checks": [], "tables": {}}
        if path.exists():
            found = json.loads(path.read_text())
    if problem or not found["checks"]:
        problem = problem or "it checked nothing"
        check = {"status": "FAIL", "name": f"section {name}", "value": problem,
                 "threshold": f"<={deadline:g} s"}
        found["checks"].append(check)
        print("FAIL", check["name"], problem, check["threshold"], flush=True)
    return found


def summarise(results: dict[str, dict], seconds: float, path: Path) -> int:
    """Prints what failed; returns 1 if something did."""
    checks = [check for found in results.values() for check in found["checks"]]
    count = {
        status: sum(check["status"] == status for check in checks)
        for status in ("PASS", "FAIL", "SKIP")
    }
    print(f"\n{seconds:.0f} s: " + ", ".join(f"{n} {s}" for s, n in count.items()))
    for check in checks:
        if check["status"] == "FAIL":
            print("FAIL", check["name"], check["value"], check["threshold"])
    print(f"All of it is in {path}")
    return int(count["FAIL"] > 0)


if __name__ == "__main__":
    sys.exit(main())
