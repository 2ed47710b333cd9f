"""One run over every kind of file: reasons for the bad, vectors for the good."""

import json
import tempfile
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest

from detail_embed.fiftyone_bridge.index import coverage, names
from detail_embed.fiftyone_bridge.index.index import Index
from tests.bad_files import LIMIT, picture, write_bad, write_good

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ERRORS = names.error_field("detail")
VECTORS = names.vector_field("detail")

RUN = """
import json, os, resource, sys
import fiftyone as fo
from detail_embed.backbone.bundled_model import NAME
from detail_embed.fiftyone_bridge.compute import compute_index
from detail_embed.fiftyone_bridge.index.index import Index
from detail_embed.fiftyone_bridge.index.settings import Settings
from detail_embed.images.image_file import UnreadableImage, read_image

name, good, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
settings = Settings(
    backbone=NAME, cover=2, fuser="gmp", device="cpu", max_pixels=limit,
    skip_identical=False, num_workers=2,
)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
dataset = fo.load_dataset(name)
warm = dataset.match(fo.ViewField("kind") == good)
compute_index.compute(Index(dataset, "warm"), warm, settings).finish()
before = peak()
print("the run itself", file=sys.stderr)
result = compute_index.compute(Index(dataset, "detail"), dataset, settings).finish()
print(json.dumps({"failed": result.failed, "embedded": result.embedded,
                  "field": result.error_field, "megabytes": peak() - before}))
if not os.geteuid():
    os.setresuid(65534, 65534, 65534)  # root may read everything
try:
    read_image(sys.argv[4])
except UnreadableImage as error:
    print(error.reason)
"""

@pytest.fixture(scope="module")
def run(tmp_path_factory, fresh_python):
    """The dataset, its good and bad files by kind, and what the run said."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "bad").mkdir()
    good, bad = write_good(folder), write_bad(folder / "bad")
    dataset = fo.Dataset(persistent=True)  # another process that ends would delete it
    paths = good | {kind: path for kind, (path, _) in bad.items()}
    dataset.add_samples(
        [fo.Sample(filepath=str(path), kind=kind) for kind, path in paths.items()],
        progress=False,
    )
    with tempfile.TemporaryDirectory() as open_folder:
        forbidden = Path(open_folder) / "a.png"
        picture().save(forbidden)
        Path(open_folder).chmod(0o755)
        forbidden.chmod(0)
        done = fresh_python(RUN, dataset.name, "jpeg", LIMIT, forbidden, folder=ROOT)
    assert not done.returncode, done.stderr
    dataset.reload()
    yield dataset, good, bad, done
    dataset.delete()


def test_there_are_many_kinds(run):
    _, good, bad, _ = run
    assert len(good) >= 30 and len(bad) >= 30


def test_every_good_file_has_a_vector(run):
    dataset, good, _, _ = run
    found = dict(zip(*dataset.exists(VECTORS).values(["kind", VECTORS])))
    assert found.keys() == good.keys()
    assert all(np.isfinite(vector).all() for vector in found.values())
    upright = [found[f"exif orientation {i}"] for i in range(1, 9)]
    assert not np.allclose(upright[0], upright[5])


def test_every_bad_file_has_its_reason_on_the_sample(run):
    dataset, _, bad, _ = run
    reasons = dict(zip(*dataset.exists(ERRORS).values(["kind", ERRORS])))
    assert reasons.keys() == bad.keys()
    for kind, (path, start) in bad.items():
        assert reasons[kind].startswith(start), kind
        assert path.name not in reasons[kind], "reasons are counted by their words"
    assert dataset.match(fo.ViewField(ERRORS) == "is missing").distinct("kind") == [
        "broken link", "missing",
    ]


def test_the_report_counts_them(run):
    dataset, good, bad, done = run
    result = json.loads(done.stdout.splitlines()[0])
    assert result["failed"] == len(bad)
    assert result["embedded"] == len(good)
    assert result["field"] == ERRORS
    report = coverage.coverage(Index(dataset, "detail"), dataset)
    assert (report.embedded, report.failed, report.missing) == (len(good), len(bad), 0)
    assert report.reasons["is truncated"] >= 4
    assert len(coverage.failed(Index(dataset, "detail"), dataset, "is missing")) == 2


def test_memory_stays_bounded(run):
    # decoding "too large" alone would take more than twice as much
    megabytes = json.loads(run[3].stdout.splitlines()[0])["megabytes"]
    print(f"the run took {megabytes} MB more than one small image")
    assert megabytes < 450


def test_little_is_printed(run):
    lines = run[3].stderr.split("the run itself\n")[1].splitlines()
    assert sum("Skipped" in line for line in lines) == 20
    assert len(lines) <= 24, lines


def test_what_nobody_may_read_is_named(run):
    assert run[3].stdout.splitlines()[1] == "cannot be read: permission denied"
