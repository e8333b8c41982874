"""The training automations in real runs: recorded decisions, exact resume, handled faults."""

import json
import random
import re
import shutil
import socket

import pytest
import torch
from runkit import REPOSITORY, Run, record, run, workplace, write_options
from safetensors.torch import load_file

from traiNNer.optim.schedules import finish

FAULTS = '''
"""A loss of zero whose calls fail as FAULTS says: `nan:20-24,oom:7,oomback:9` (iterations by this loss's own count)."""

import os

import torch
from torch import Tensor, nn

from traiNNer.registry import LOSSES


class Fault(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, kind):
        ctx.kind = kind
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        if ctx.kind == "oomback":
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        return grad * (float("nan") if ctx.kind == "nangrad" else float(ctx.kind)), None


@LOSSES.register(separable=True)
class FaultyLoss(nn.Module):
    """Zero, or a fault."""

    calls = -1  # the first call is that of the check before the run

    def __init__(self) -> None:
        super().__init__()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        FaultyLoss.calls += 1
        kind = orders().get(FaultyLoss.calls, "")
        if kind == "oom":
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        if kind == "nan":
            return output.mean() * float("nan")
        value = (output - target).abs().mean() * 0
        return Fault.apply(value + output.mean() * 0, kind) if kind else value


def orders() -> dict:
    found = {}
    for part in filter(None, os.environ.get("FAULTS", "").split(",")):
        kind, _, span = part.partition(":")
        first, _, last = span.partition("-")
        found |= dict.fromkeys(range(int(first), int(last or first) + 1), kind)
    return found
'''

QUICK = {
    "IntelligentLearningRateScheduler": {
        "plateau_patience": 8,
        "improvement_threshold": 0.5,
        "adaptation_threshold": 0.05,
        "monitor_validation": False,
        "log_every": 20,
    },
    "DynamicBatchSizeOptimizer": {},
    "AdaptiveGradientClipping": {"initial_threshold": 10.0, "monitoring_frequency": 3, "adjustment_factor": 1.01},
    "IntelligentEarlyStopping": {"patience": 20, "min_iterations": 0, "warmup_iterations": 0},
}


def automations(automations=QUICK, **extra):
    return {"train": {"training_automations": {"enabled": True, **automations} | extra, "grad_clip": True}}


def merged(*trees):
    from runkit import merged as merge

    result = {}
    for tree in trees:
        result = merge(result, tree)
    return result


TOTAL = 60
BASE = {"train": {"total_iter": TOTAL, "scheduler": None}, "val": {"val_freq": 20}}


def lasting(iterations):
    """Return the change that makes a run shorter."""
    return {"train": {"total_iter": iterations}}


def weights(folder, iteration=TOTAL, name="run"):
    return load_file(folder / f"experiments/{name}/models/net_g_ema_{iteration}.safetensors")


def decisions(folder, name="run"):
    lines = (folder / f"experiments/{name}/decisions.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """One uninterrupted run with every automation: the reference for the resumed ones."""
    folder = workplace(tmp_path_factory.mktemp("straight"))
    balance = {"train": {"losses": [{"type": "L1Loss"}, {"type": "MSELoss"}]}}
    balance["train"]["dynamic_loss_scheduling"] = {"enabled": True}
    write_options(
        folder, merged(BASE, automations(), balance, {"logger": {"save_checkpoint_freq": 1, "keep_last": TOTAL}})
    )
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    return folder, result


def test_master_off_is_bit_identical_to_no_section(tmp_path):
    folder = workplace(tmp_path)
    for name, changes in {
        "plain": {"train": {"grad_clip": True}},
        "off": automations(enabled=False),
        "shadow": automations(
            {"IntelligentLearningRateScheduler": QUICK["IntelligentLearningRateScheduler"] | {"plateau_patience": 4}},
            shadow=True,
        ),
    }.items():
        write_options(folder, merged(BASE, changes, {"name": name}, lasting(40)))
        result = run("train.py", "-opt", "options.yml", folder=folder)
        assert result.code == 0, result.output
    assert same(weights(folder, 40, "plain"), weights(folder, 40, "off"))
    assert record(folder, "plain")[1:-1] == record(folder, "off")[1:-1]
    assert decisions(folder, "off") == []
    assert decisions(folder, "shadow")
    assert same(weights(folder, 40, "plain"), weights(folder, 40, "shadow"))


def test_every_automation_decides_and_logs_it(straight):
    folder, result = straight
    found = decisions(folder)
    automations = {entry["automation"] for entry in found}
    assert {"IntelligentLearningRateScheduler", "AdaptiveGradientClipping", "DynamicLossScheduling"} <= automations
    keys = ["event", "iter", "automation", "knob", "old", "new", "reason", "evidence", "n_adjustments"]
    assert all(list(entry) == keys for entry in found if entry["knob"])
    assert re.search(
        r"Automation IntelligentLearningRateScheduler: LR multiplier 1\.00 -> 0\.\d\d \(LR ", result.output
    )
    assert re.search(r"Automation AdaptiveGradientClipping: grad_clip_threshold adjusted from 10 to ", result.output)
    assert re.search(
        r"^Automations: learning rate: \d+ adjustment.*; batch: .*; clipping: .*; early stopping: .*; loss",
        result.output,
        re.M,
    )
    rates = {entry["iter"]: entry["lr"] for entry in record(folder) if entry["event"] == "train"}
    moves = {entry["iter"]: entry["new"] for entry in found if entry["knob"] == "lr_factor"}
    for iteration, rate in rates.items():
        factor = [new for at, new in moves.items() if at < iteration]
        assert rate == pytest.approx(1e-3 * (factor[-1] if factor else 1.0) * finish(iteration - 1, TOTAL))


SOME = sorted(random.Random(3).sample(range(1, TOTAL - 1), 7))
LATER = [pytest.param(iteration, marks=pytest.mark.nightly) for iteration in SOME[3:]]


def said(result):
    """Return the log lines of automation changes."""
    return [line.partition("Automation ")[2] for line in result.output.splitlines() if ", reason: " in line]


@pytest.mark.parametrize("iteration", [*SOME[:3], *LATER])
def test_resume_at_any_iteration_decides_the_same(straight, tmp_path, iteration):
    folder, whole = straight
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for later in (tmp_path / "experiments/run/training_states").glob("[!.]*"):
        if int(later.stem) > iteration:
            later.unlink()
    seldom = ("--set", "logger.save_checkpoint_freq=100")
    result = run("train.py", "-opt", "options.yml", "--auto_resume", *seldom, folder=tmp_path)
    assert result.code == 0, result.output
    assert f"Resuming run at iteration {iteration} (exact)." in result.output
    assert decisions(tmp_path) == decisions(folder)
    assert same(weights(tmp_path), weights(folder))
    again = said(result)
    assert again == said(whole)[len(said(whole)) - len(again) :]
    assert bool(again) == any(entry["iter"] > iteration for entry in decisions(folder) if entry["knob"])


def faulty(folder, *trees):
    workplace(folder)
    (folder / "faults.py").write_text(FAULTS)
    losses = {"plugins": ["faults.py"], "train": {"losses": [{"type": "L1Loss"}, {"type": "FaultyLoss"}]}}
    write_options(folder, merged(BASE, losses, *trees))
    return folder


def test_oom_step_is_retried(tmp_path):
    automation = automations({"DynamicBatchSizeOptimizer": {}})
    folder = faulty(tmp_path, automation, lasting(16))
    clean = run("train.py", "-opt", "options.yml", "--set", "name=clean", folder=folder)
    assert clean.code == 0, clean.output
    result = run("train.py", "-opt", "options.yml", folder=folder, FAULTS="oom:7")
    assert result.code == 0, result.output
    assert "Batch size adjusted from 2 to 1 due to out of memory" in result.output
    assert [(entry["knob"], entry["new"]) for entry in decisions(folder)] == [("micro_batch", 1)]
    losses = [[e["loss/total"] for e in record(folder, name) if e["event"] == "train"] for name in ("clean", "run")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_without_automation_exits_with_the_usual_code(tmp_path):
    result = run("train.py", "-opt", "options.yml", folder=faulty(tmp_path), FAULTS="oom:7")
    assert result.code == 8
    assert "Out of memory at batch 2" in result.output


def test_never_more_memory_than_available(tmp_path):
    folder = faulty(tmp_path, automations({"DynamicBatchSizeOptimizer": {}}))
    result = run("train.py", "-opt", "options.yml", folder=folder, FAULTS="oom:7-30")
    assert result.code == 8
    assert "stopped: out of memory" in result.output


@pytest.mark.nightly
def test_oom_on_one_rank_ends_the_other(tmp_path):
    folder = faulty(tmp_path, automations({"DynamicBatchSizeOptimizer": {}}), {"dist": True})
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = str(server.getsockname()[1])
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    both = [
        Run("train.py", "-opt", "options.yml", folder=folder, RANK=str(r), LOCAL_RANK=str(r), FAULTS=f, **common)
        for r, f in enumerate(["", "oomback:5,oom:20"])
    ]
    results = [process.finish() for process in both]
    assert [result.code for result in results] == [0, 0], results[0].output + results[1].output
    assert "Batch size adjusted from 2 to 1 due to out of memory" in results[0].output


def test_run_of_nan_losses_is_rolled_back(tmp_path):
    rate = {"plateau_patience": 8, "log_every": 1000}
    folder = faulty(tmp_path, automations({"IntelligentLearningRateScheduler": rate}), lasting(30))
    result = run("train.py", "-opt", "options.yml", folder=folder, FAULTS="nan:16-27")
    assert result.code == 0, result.output
    assert "Rolled back to the last good weights; training continues." in result.output
    assert any(entry.get("action") == "rollback" for entry in decisions(folder))
    lost = run(
        "train.py",
        "-opt",
        "options.yml",
        "--set",
        "name=lost",
        "--set",
        "train.training_automations.enabled=false",
        folder=folder,
        FAULTS="nan:16-27",
    )
    assert lost.code == 5


def test_spikes_are_skipped(tmp_path):
    clip = {"monitoring_frequency": 3, "gradient_history_size": 20}
    folder = faulty(tmp_path, automations({"AdaptiveGradientClipping": clip}), lasting(37))
    result = run("train.py", "-opt", "options.yml", folder=folder, FAULTS="nangrad:30,1e9:35")
    assert result.code == 0, result.output
    assert re.search(r"Automations: clipping: [\d.]+ % of steps", result.output)


STOP = {
    "IntelligentEarlyStopping": {
        "patience": 5,
        "min_iterations": 10,
        "warmup_iterations": 0,
        "min_projected_gain": 99.0,
    }
}
STOPPING = {"val": {"val_freq": 2}, "train": {"total_iter": 200, "ema_decay": 0.1, "optim_g": {"lr": 1e-9}}}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    folder = workplace(tmp_path_factory.mktemp("stopped"))
    write_options(folder, merged(BASE, automations(STOP), STOPPING))
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    return folder, result


def test_early_stopping_restores_the_best_weights(stopped):
    folder, result = stopped
    assert re.search(
        r"Early stopping triggered - no improvement in val/psnr for \d+ iterations; projected gain",
        result.output,
    )
    last = result.output.strip().splitlines()[-1]
    at = int(re.search(r"finished: (\d+)/200 \(stopped early: ", last).group(1))
    assert at < 200
    models = folder / "experiments/run/models"
    assert (models / "net_g_final.safetensors").read_bytes() == (models / "net_g_best_psnr.safetensors").read_bytes()
    assert "net_g_final.safetensors, the best by psnr" in result.output
    assert (folder / f"experiments/run/training_states/{at}.state").exists()


def test_resumed_stopped_run_reports_why_and_stays_stopped(stopped, tmp_path):
    shutil.copytree(stopped[0], tmp_path, dirs_exist_ok=True)
    again = run("train.py", "-opt", "options.yml", "--auto_resume", folder=tmp_path)
    assert again.code == 0
    assert "stopped early before: no improvement in val/psnr" in again.output
    assert "to continue, change the options of that automation or set it to enabled: false" in again.output
    key = "train.training_automations.IntelligentEarlyStopping.enabled=false"
    on = run(
        "train.py",
        "-opt",
        "options.yml",
        "--auto_resume",
        "--set",
        key,
        "--set",
        "train.total_iter=150",
        folder=tmp_path,
    )
    assert "finished: 150/150" in on.output, on.output
    assert "training_automations.IntelligentEarlyStopping.enabled (true -> false)" in on.output


def test_restore_best_off_leaves_the_last_weights(stopped, tmp_path):
    """From the last checkpoint before the stop on."""
    shutil.copytree(stopped[0], tmp_path, dirs_exist_ok=True)
    states = tmp_path / "experiments/run/training_states"
    (tmp_path / "experiments/run/models/net_g_final.safetensors").unlink()
    max(states.glob("*.json"), key=lambda path: int(path.stem)).unlink()
    off = ("--set", "train.training_automations.IntelligentEarlyStopping.restore_best=false")
    result = run("train.py", "-opt", "options.yml", "--auto_resume", *off, folder=tmp_path)
    assert result.code == 0, result.output
    at = re.search(r"finished: (\d+)/200 \(stopped early: ", result.output).group(1)
    final = load_file(tmp_path / "experiments/run/models/net_g_final.safetensors")
    assert same(final, weights(tmp_path, at))
    assert not same(final, load_file(tmp_path / "experiments/run/models/net_g_best_psnr.safetensors"))


def test_watching_one_dataset_keeps_its_best_weights(tmp_path):
    folder = workplace(tmp_path)
    automation = {"IntelligentEarlyStopping": {"monitor_metric": "Mine/psnr"}}
    changes = {"datasets": {"val": {"name": "Mine"}}, "train": {"total_iter": 20}}
    write_options(folder, merged(BASE, automations(automation), changes))
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    assert (folder / "experiments/run/models/net_g_best_Mine_psnr.safetensors").exists()


def test_example_of_the_documentation_runs(tmp_path):
    page = (REPOSITORY / "docs/automations.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(\"\"\"my_automation\.py.*?)```", page, re.S).group(1)
    section = re.search(r"```yaml\n(plugins: \[my_automation\.py\].*?)```", page, re.S).group(1)
    assert len(code.splitlines()) <= 24
    import yaml

    folder = workplace(tmp_path)
    (folder / "my_automation.py").write_text(code)
    write_options(folder, merged(BASE, {"train": {"grad_clip": True}}, yaml.safe_load(section)))
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    assert {entry["automation"].lower() for entry in decisions(folder)} == {"coolerend"}
