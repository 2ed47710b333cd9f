"""Files and folders that are whole or not there, whoever writes them at once."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from detail_embed.storage.whole_files import whole_file, whole_folder, write_whole

ROOT = Path(__file__).parents[2]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def at_once(write, count=2):
    """Calls a function in threads that all wait for each other in the middle."""
    barrier = threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda i: write(i, barrier), range(count)))


def test_text_and_bytes_are_written_as_they_are(tmp_path):
    path = tmp_path / "a.json"
    write_whole(path, "größer\n")
    assert path.read_bytes() == "größer\n".encode()
    write_whole(path, b"\x00\r\n")
    assert path.read_bytes() == b"\x00\r\n" and names(tmp_path) == ["a.json"]


def test_a_file_has_the_permissions_of_any_other(tmp_path):
    write_whole(tmp_path / "whole", "")
    (tmp_path / "any").write_text("")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_what_is_unfinished_is_hidden_beside_the_file(tmp_path):
    with whole_file(tmp_path / "a.json") as partial:
        partial.write_text("half")
        assert partial.parent == tmp_path and partial.name.startswith(".a.json.")
        assert not (tmp_path / "a.json").exists()
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_a_failure_in_the_middle_keeps_the_old_file(tmp_path, error):
    path = tmp_path / "a.json"
    write_whole(path, "old")
    with pytest.raises(error), whole_file(path) as partial:
        partial.write_text("ne")
        raise error
    assert path.read_text() == "old" and names(tmp_path) == ["a.json"]


def test_a_file_that_was_never_written_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a.json"):
        pass
    assert names(tmp_path) == []


def test_two_threads_write_the_same_file(tmp_path):
    path, texts = tmp_path / "a.json", ["a" * 10**6, "b" * 10**6]

    def write(i, barrier):
        with whole_file(path) as partial:
            with partial.open("w") as file:
                file.write(texts[i][:1000])
                barrier.wait(10)  # both are in the middle
                file.write(texts[i][1000:])

    at_once(write)
    assert path.read_text() in texts and names(tmp_path) == ["a.json"]


def test_processes_of_one_id_write_the_same_file(tmp_path):
    """As two hosts that share a disk may: the process ids are equal."""
    code = (
        "import os, sys\n"
        "os.getpid = lambda: 7\n"
        "from pathlib import Path\n"
        "from detail_embed.storage.whole_files import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as partial:\n"
        "    partial.write_text(sys.argv[2])\n"
        "    print('half', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    path = tmp_path / "a.json"
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, path, text], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for text in "ab"
    ]
    for run in runs:
        assert run.stdout.readline() == "half\n"
    assert len(names(tmp_path)) == 2
    for run in runs:
        run.communicate()
        assert run.returncode == 0
    assert path.read_text() == "b" and names(tmp_path) == ["a.json"]


def test_a_folder_appears_whole(tmp_path):
    path = tmp_path / "above" / "space"
    with whole_folder(path) as partial:
        (partial / "a").write_text("a")
        assert partial.parent == path.parent and partial.name.startswith(".space.")
        assert not path.exists()
    assert names(path.parent) == ["space"] and names(path) == ["a"]
    (tmp_path / "any").mkdir()
    assert path.stat().st_mode == (tmp_path / "any").stat().st_mode


@pytest.mark.parametrize("replace", [False, True])
def test_a_failure_in_the_middle_keeps_the_old_folder(tmp_path, replace):
    path = tmp_path / "space"
    with whole_folder(path) as partial:
        (partial / "old").write_text("")
    with pytest.raises(KeyboardInterrupt), whole_folder(path, replace) as partial:
        (partial / "new").write_text("")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["space"] and names(path) == ["old"]


def test_a_folder_that_is_there_stays_or_is_replaced(tmp_path):
    path = tmp_path / "space"
    for name in ("old", "new"):
        with whole_folder(path, replace=True) as partial:
            (partial / name).write_text("")
        assert names(tmp_path) == ["space"] and names(path) == [name]
    with pytest.raises(OSError), whole_folder(path) as partial:
        (partial / "newer").write_text("")
    assert names(tmp_path) == ["space"] and names(path) == ["new"]


def test_threads_replace_the_same_folder(tmp_path):
    path = tmp_path / "space"

    def write(i, barrier):
        with whole_folder(path, replace=True) as partial:
            for name in "ab":
                (partial / name).write_text(str(i))
            barrier.wait(10)

    at_once(write, 8)
    assert names(tmp_path) == ["space"] and names(path) == ["a", "b"]
    assert len({(path / name).read_text() for name in "ab"}) == 1
