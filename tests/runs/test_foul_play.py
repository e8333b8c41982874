"""What users' code, machines and other programs do to a run: it saves, says one sentence, and has the right code."""

import shutil
from pathlib import Path

import pytest
from runkit import Run, run, workplace, write_options

ENDLESS = {"train": {"total_iter": 100_000}, "val": {"val_enabled": False}}

FAILING = """
import os
from traiNNer.data.datasets.paired_images import PairedImageDataset
from traiNNer.registry import DATASETS

class Odd(Exception):
    def __init__(self, first, second):
        self.lock = lambda: second
        super().__init__(first)

@DATASETS.register()
class OwnDataset(PairedImageDataset):
    def sample_at(self, index, rng, iteration):
        if iteration == 6:
            raise Odd("no license", 2)
        return super().sample_at(index, rng, iteration)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_exception_in_a_users_dataset_saves_and_names_image_and_line(tmp_path, workers):
    workplace(tmp_path)
    (tmp_path / "own.py").write_text(FAILING)
    train = {"type": "OwnDataset", "num_worker_per_gpu": workers}
    write_options(tmp_path, ENDLESS | {"plugins": ["own.py"], "datasets": {"train": train}})
    result = run("train.py", "-opt", "options.yml", folder=tmp_path, timeout=120)
    assert result.code == 3, result.output
    assert "cannot be used: own.py line 15: Odd: no license. A plugin raised this: repair it there." in result.output
    assert "Traceback" not in result.output
    assert ".png" in result.output.splitlines()[-2]
    assert [path.name for path in (tmp_path / "experiments/run/training_states").glob("6.*")]


@pytest.mark.parametrize("is_renamed", [True, False], ids=["renamed", "deleted"])
def test_folder_that_is_taken_away_is_noticed_and_not_made_anew(tmp_path, is_renamed):
    workplace(tmp_path)
    write_options(tmp_path, ENDLESS | {"logger": {"save_checkpoint_freq": 200, "print_freq": 10}})
    training = Run("train.py", "-opt", "options.yml", folder=tmp_path)
    training.wait_for("iter 10/")
    folder, moved = tmp_path / "experiments/run", tmp_path / "experiments/moved"
    folder.rename(moved)
    if not is_renamed:
        shutil.rmtree(moved)
    result = training.finish(120)
    assert result.code == 4, result.output
    last = result.output.rstrip().splitlines()
    assert last[-1].startswith("stopped: folder deleted or renamed at ")
    assert "experiments/run was deleted or renamed while the run wrote to it." in last[-2]
    assert not folder.exists()
    if is_renamed:
        (saved,) = (moved / "training_states").glob("*.json")
        assert f"iteration {saved.stem} was saved: rename it back and continue with --auto_resume." in last[-2]
        moved.rename(folder)
        again = run("train.py", "-opt", "options.yml", "--auto_resume", "--check", folder=tmp_path)
        assert again.code == 0, again.output
    else:
        assert "no checkpoint was saved yet" in last[-2]
        assert not Path(moved).exists()
