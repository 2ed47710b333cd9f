"""Which of several files is the best: by size, but never one that is gone."""

import fiftyone as fo
from PIL import Image

from detail_embed.fiftyone_bridge.curate.best_files import best_first


def test_a_file_that_is_gone_is_never_the_best(tmp_path):
    paths = [tmp_path / f"{name}.png" for name in ("small", "large", "gone")]
    for path, side in zip(paths, (8, 16, 32)):
        Image.new("RGB", (side, side)).save(path)
    dataset = fo.Dataset()
    dataset.add_samples([fo.Sample(str(path)) for path in paths])
    assert best_first(dataset).tolist() == [2, 1, 0]
    dataset.compute_metadata()
    paths[2].unlink()
    assert best_first(dataset).tolist() == [1, 0, 2]
    dataset.delete()
