"""Two processes that share a batch train the same network as one process with the whole batch."""

import json
import signal

import pytest
import torch
from imagekit import write_pairs
from runkit import ranks, run, workplace, write_options
from safetensors.torch import load_file

from benchmarks.automations import memory_faults


def scores(folder):
    lines = map(json.loads, (folder / "experiments/run/metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k.startswith("val/")} for line in lines if line["event"] == "validation"]


def weights(folder):
    return load_file(folder / "experiments/run/models/net_g_ema_6.safetensors")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = workplace(tmp_path_factory.mktemp("alone"))
    changes = {"train": {"total_iter": 6}, "datasets": {"train": {"batch_size_per_gpu": 4}}}
    write_options(folder, changes)
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    return weights(folder), scores(folder)


def test_two_ranks_equal_one_and_resume(alone, tmp_path):
    folder = workplace(tmp_path)
    changes = {"train": {"total_iter": 6}, "datasets": {"train": {"batch_size_per_gpu": 2}}, "dist": True}
    write_options(folder, changes)
    for process in ranks(folder):
        result = process.finish()
        assert result.code == 0, result.output
    two, (alone, found) = weights(folder), alone
    assert two.keys() == alone.keys()
    # The images are shared; what is left is that of weights whose gradients were summed in another order.
    for one, both in zip(found, scores(folder), strict=True):
        assert both == pytest.approx(one, abs=1e-3)
        assert both
    for name, tensor in alone.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-4, atol=1e-5, msg=name)
    (folder / "experiments/run/training_states/6.json").unlink()
    results = [process.finish() for process in ranks(folder, "--auto_resume")]
    assert [result.code for result in results] == [0, 0], results[0].output
    assert "Resuming run at iteration 5 (exact)." in results[0].output
    assert all(torch.equal(weights(folder)[name], tensor) for name, tensor in two.items())
    assert results[1].output.strip() == ""

    # Gradients of another number of ranks are summed in another order.
    (folder / "experiments/run/training_states/6.json").unlink()
    changes["datasets"]["train"]["batch_size_per_gpu"] = 4
    write_options(folder, changes | {"dist": False})
    result = run("train.py", "-opt", "options.yml", "--auto_resume", folder=folder)
    assert result.code == 0, result.output
    assert "Exact resume is off: number of ranks (2 -> 1), datasets.train.batch_size_per_gpu (2 -> 4)" in result.output
    assert "Resuming run at iteration 5." in result.output


def test_two_ranks_with_muon_resume_bitwise(tmp_path):
    folder = workplace(tmp_path)
    train = {"total_iter": 6, "optim_g": {"type": "Muon", "lr": 5e-3, "weight_decay": 1e-3}}
    write_options(folder, {"train": train, "datasets": {"train": {"batch_size_per_gpu": 2}}, "dist": True})
    assert [process.finish().code for process in ranks(folder)] == [0, 0]
    straight = weights(folder)
    (folder / "experiments/run/training_states/6.json").unlink()
    results = [process.finish() for process in ranks(folder, "--auto_resume")]
    assert [result.code for result in results] == [0, 0], results[0].output
    assert "Resuming run at iteration 5 (exact)." in results[0].output
    assert all(torch.equal(weights(folder)[name], tensor) for name, tensor in straight.items())


def test_overwrite_is_one_decision_of_all_ranks(tmp_path):
    folder = workplace(tmp_path)
    changes = {"train": {"total_iter": 6}, "datasets": {"train": {"batch_size_per_gpu": 2}}, "dist": True}
    write_options(folder, changes)
    assert [process.finish().code for process in ranks(folder)] == [0, 0]
    refused = [process.finish() for process in ranks(folder)]
    assert [result.code for result in refused] == [2, 2]
    assert "exists (last saved iteration: 6)" in refused[0].output
    assert "rank 1: experiments/run exists" in refused[1].output
    results = [process.finish() for process in ranks(folder, "--overwrite")]
    assert [result.code for result in results] == [0, 0], results[0].output
    assert len(list((folder / "experiments").glob("run_replaced_*"))) == 1
    assert results[0].output.rstrip().endswith("finished: 6/6")


SLOW_METRIC = """
import time
from pathlib import Path

from traiNNer.registry import METRICS


@METRICS.register()
class Slow:
    direction, needs_target, calls = "higher", True, 0

    def __call__(self, output, target):
        Slow.calls += 1
        print(f"scoring {Slow.calls}", flush=True)
        while Slow.calls == 2 and not Path("signalled").exists():  # the first call is that of the check
            time.sleep(0.01)
        return 1.0
"""


def test_signal_to_one_rank_during_validation_stops_all(tmp_path):
    folder = workplace(tmp_path)
    write_pairs(folder / "val", 5, (20, 24), seed=99, smooth=True)  # both ranks have some left when the signal comes
    (folder / "slow.py").write_text(SLOW_METRIC)
    changes = {"plugins": ["slow.py"], "dist": True, "val": {"val_freq": 3, "metrics": {"slow": {}}}}
    write_options(folder, changes)
    processes = ranks(folder)
    processes[0].wait_for("scoring")
    processes[0].wait_for("scoring 2")
    processes[0].signal(signal.SIGTERM)
    (folder / "signalled").touch()
    assert [process.finish().code for process in processes] == [143, 143]
    results = [process.finish() for process in ranks(folder, "--auto_resume")]
    assert [result.code for result in results] == [0, 0], results[0].output
    assert "Resuming run at iteration 3" in results[0].output
    assert "validation 3  val: " in results[0].output


def test_unreadable_files_on_rank_0_end_every_rank_with_the_cause(tmp_path):
    folder = workplace(tmp_path)
    write_options(folder, {"dist": True})
    (folder / "experiments/run/options.yml").mkdir(parents=True)
    results = [process.finish() for process in ranks(folder)]
    assert [result.code for result in results] == [7, 7], results[1].output
    assert "rank 1: Cannot write to experiments/run" in results[1].output


def test_two_ranks_retry_exactly_when_one_of_them_runs_out_of_memory():
    """Weights and running statistics, in float64, against the same run without faults."""
    distance, faults = memory_faults.two_ranks(seed=2, iterations=8, start="forkserver")
    assert faults == 1
    assert distance <= 1e-12
