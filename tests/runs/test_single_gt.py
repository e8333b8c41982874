"""Training on GT images only: one folder, partly held out."""

import json

from imagekit import write_pairs
from runkit import record, run, write_options

from traiNNer.data.files.split import held_out

NOTE_KEYS = """
from traiNNer.data.datasets.image_files import ImageFiles

def noting(name):
    real = getattr(ImageFiles, name)
    def method(self, index, *rest):
        sample = real(self, index, *rest)
        with open("keys.txt", "a") as file:
            print(self.name, sample.key, file=file)
        return sample
    setattr(ImageFiles, name, method)

noting("sample_at")
noting("whole")
"""


def test_no_training_sample_comes_from_a_held_out_photo(tmp_path):
    write_pairs(tmp_path / "data", 12, (20, 24), smooth=True)
    (tmp_path / "note_keys.py").write_text(NOTE_KEYS)
    photos = {"type": "singlegtdataset", "dataroot_gt": "data/hr", "dataroot_lq": None}
    changes = {"datasets": {"train": photos | {"split": "train"}, "val": photos | {"split": "val"}}}
    write_options(tmp_path, changes | {"plugins": ["note_keys.py"]})
    result = run("train.py", "-opt", "options.yml", folder=tmp_path)
    assert result.code == 0, result.output
    used = {"datasets.train": set(), "datasets.val": set()}
    for line in (tmp_path / "keys.txt").read_text().splitlines():
        name, key = line.split()
        used[name].add(key)
    names = {f"{number:03}" for number in range(12)}
    assert used == {"datasets.val": held_out(names), "datasets.train": names - held_out(names)}
    scores = [line for line in record(tmp_path) if "val/val/psnr" in json.dumps(line)]
    assert len(scores) == 3  # at 4, 8 and 12
    assert "bicubic" in result.output
