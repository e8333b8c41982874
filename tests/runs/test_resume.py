"""A stopped, killed or damaged run resumes bitwise exactly."""

import functools
import itertools
import shutil
import signal

import pytest
import torch
from imagekit import write_pairs
from runkit import record, run, workplace, write_options
from safetensors.torch import load_file

KILLER = '''
"""A loss of zero that ends the process at the n-th micro-batch."""

import os

from torch import Tensor, nn

from traiNNer.registry import LOSSES


@LOSSES.register()
class KillerLoss(nn.Module):
    """Sends the signal KILL_WITH to its own process at its micro-batch number KILL_AT."""

    calls = -1  # the first call is that of the check before the run

    def __init__(self) -> None:
        super().__init__()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        KillerLoss.calls += 1
        if KillerLoss.calls == int(os.environ.get("KILL_AT", "-1")):
            os.kill(os.getpid(), int(os.environ["KILL_WITH"]))
        return (output - target).abs().mean() * 0
'''

TOTAL = 12
MUON = ("--set", "train.optim_g={type: Muon, lr: 5e-3, weight_decay: 1e-3}")
LOSSES = {"train": {"losses": [{"type": "L1Loss"}, {"type": "KillerLoss"}]}}


def prepare(folder, **data):
    workplace(folder)
    (folder / "killer.py").write_text(KILLER)
    write_options(folder, {"plugins": ["killer.py"], "datasets": {"train": data}} | LOSSES)
    return folder


def final_state(folder, iteration=TOTAL):
    root = folder / "experiments" / "run"
    state = torch.load(root / "training_states" / f"{iteration}.state", weights_only=True)
    files = {
        name: load_file(root / "models" / name)
        for name in (
            f"net_g_{iteration}.safetensors",
            f"net_g_ema_{iteration}.safetensors",
            "net_g_best_psnr.safetensors",
            "net_g_best_ssim.safetensors",
        )
    }
    return state, files


def flatten(value, path=""):
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from flatten(value[key], f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from flatten(item, f"{path}[{index}]")
    else:
        yield path, value


def assert_same_bits(one, other):
    left, right = dict(flatten(one)), dict(flatten(other))
    assert left.keys() == right.keys()
    for path, value in left.items():
        same = torch.equal(value, right[path]) if isinstance(value, torch.Tensor) else value == right[path]
        assert same, f"{path} differs"


def trained(entries):
    """Return the entries of training and validation; starts and ends always differ."""
    return [entry for entry in entries if entry["event"] in ("train", "validation")]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """Return the folder of an uninterrupted run with a number of accumulated batches."""

    @functools.cache
    def whole(accum):
        folder = prepare(tmp_path_factory.mktemp("straight"), accum_iter=accum)
        result = run("train.py", "-opt", "options.yml", folder=folder)
        assert result.code == 0, result.output
        file = "experiments/run/models/net_g_best_psnr.safetensors"
        assert result.output.rstrip().splitlines()[-3:] == [
            f"Best weights by psnr: {file}",
            f"Next: trainner upscale -m {file} -i IMAGES -o OUT",
            "finished: 12/12",
        ]
        return folder

    return whole


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.nightly)], ids=["plain", "accumulated"])
def straight(request, whole_run):
    return request.param, whole_run(request.param)


@pytest.fixture(scope="module")
def muon(tmp_path_factory):
    folder = prepare(tmp_path_factory.mktemp("muon"))
    result = run("train.py", "-opt", "options.yml", *MUON, folder=folder)
    assert result.code == 0, result.output
    return folder


WORKERS = {1: 0, 4: 1, 5: 0, 6: 2, 8: 0, 12: 1}
KILL, TERM = signal.SIGKILL, signal.SIGTERM
# Every iteration, number of workers, signal and way of accumulating, and either signal with either way.
OFTEN = [(1, 1, TERM), (1, 6, TERM), (1, 8, KILL), (1, 12, KILL), (2, 4, TERM), (2, 5, KILL)]
ALWAYS = [
    pytest.param(*point, marks=() if point in OFTEN else pytest.mark.nightly, id="-".join(map(str, map(int, point))))
    for point in itertools.product((1, 2), WORKERS, (KILL, TERM))
    if point[0] == 1 or (point[1] % 2 == 0) == (point[2] == TERM)  # half of them are enough with accumulation
]


@pytest.mark.parametrize(("accum", "after", "number"), ALWAYS)
def test_stop_and_resume_is_bitwise_exact(whole_run, tmp_path, accum, after, number):
    reference, workers = whole_run(accum), WORKERS[after]
    folder = prepare(tmp_path, accum_iter=accum, num_worker_per_gpu=workers)
    stop = {"KILL_AT": str(after * accum), "KILL_WITH": str(int(number))}
    first = run("train.py", "-opt", "options.yml", folder=folder, **stop)
    if number == signal.SIGTERM:
        assert first.code == 143, first.output
        assert f"checkpoint {after} saved. Continue with --auto_resume." in first.output
    else:
        assert first.code == -signal.SIGKILL
    second = run("train.py", "-opt", "options.yml", "--auto_resume", folder=folder)
    assert second.code == 0, second.output
    if number == signal.SIGTERM or after > 5:
        expected = after if number == signal.SIGTERM else 5 * ((after - 1) // 5)
        assert f"Resuming run at iteration {expected} (exact)." in second.output
    assert_same_bits(final_state(folder), final_state(reference))
    assert trained(record(folder)) == trained(record(reference))
    assert not [path for path in (folder / "experiments").rglob("*") if ".tmp-" in path.name]


@pytest.mark.parametrize("number", [pytest.param(signal.SIGKILL, marks=pytest.mark.nightly), signal.SIGTERM])
def test_muon_resumes_bitwise_exactly(muon, tmp_path, number):
    prepare(tmp_path)
    arguments = ("train.py", "-opt", "options.yml", *MUON)
    first = run(*arguments, folder=tmp_path, KILL_AT="8", KILL_WITH=str(int(number)))
    assert first.code == (143 if number == signal.SIGTERM else -signal.SIGKILL), first.output
    second = run(*arguments, "--auto_resume", folder=tmp_path)
    assert f"Resuming run at iteration {8 if number == signal.SIGTERM else 5} (exact)." in second.output
    state = final_state(tmp_path)
    assert_same_bits(state, final_state(muon))
    assert any("momentum_buffer" in path for path, _ in flatten(state[0]))


def test_existing_run_is_never_mixed_silently(straight, tmp_path):
    _, reference = straight
    folder = tmp_path / "copy"
    shutil.copytree(reference, folder)
    before = {path: path.stat().st_mtime_ns for path in (folder / "experiments").rglob("*") if path.name != ".lock"}
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 2
    assert "exists (last saved iteration: 12). Add --auto_resume to go on, --overwrite to start anew" in result.output
    assert before.keys() == {p for p in (folder / "experiments").rglob("*") if p.name != ".lock"}
    assert all(path.stat().st_mtime_ns == time for path, time in before.items() if path.is_file())

    finished = run("train.py", "-opt", "options.yml", "--auto_resume", folder=folder)
    assert finished.code == 0
    assert "finished: 12/12 (nothing left to do" in finished.output

    anew = run("train.py", "-opt", "options.yml", "--overwrite", folder=folder)
    assert anew.code == 0, anew.output
    assert "the old run is kept as" in anew.output
    assert len(list((folder / "experiments").glob("run_replaced_*"))) == 1
    assert_same_bits(final_state(folder), final_state(reference))


def test_named_state_resumes_there_and_discards_later_ones(straight, tmp_path):
    _, reference = straight
    folder = tmp_path / "copy"
    shutil.copytree(reference, folder)
    state = "experiments/run/training_states/5.state"
    result = run("train.py", "-opt", "options.yml", "--set", f"path.resume_state={state}", folder=folder)
    assert result.code == 0, result.output
    assert "Resuming run at iteration 5 (exact)." in result.output
    assert_same_bits(final_state(folder), final_state(reference))
    assert trained(record(folder)) == trained(record(reference))


def test_damaged_state_falls_back_to_the_previous_one(straight, tmp_path):
    _, reference = straight
    folder = tmp_path / "copy"
    shutil.copytree(reference, folder)
    path = folder / "experiments/run/training_states/12.state"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    result = run("train.py", "-opt", "options.yml", "--auto_resume", folder=folder)
    assert result.code == 0, result.output
    assert "Checkpoint 12 is damaged" in result.output
    assert "12.state: checksum differs). Using 10 instead; 2 iterations will be repeated." in result.output
    assert_same_bits(final_state(folder), final_state(reference))


@pytest.mark.parametrize(
    ("argument", "code", "text"),
    [
        ("path.resume_state=experiments/run/models/net_g_12.safetensors", 2, "use path.pretrain_network_g"),
        ("path.pretrain_network_g=experiments/run/training_states/12.state", 2, "use path.resume_state"),
        ("path.resume_state=experiments/run/training_states/7.state", 4, "Complete states in .*: 12.state, 10.state"),
    ],
)
def test_misplaced_files_are_identified(straight, argument, code, text):
    _, folder = straight
    name = ["--set", "name=other"] if "pretrain" in argument else []
    result = run("train.py", "-opt", "options.yml", "--set", argument, *name, folder=folder)
    assert result.code == code, result.output
    import re

    assert re.search(text, result.output)


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("network_g.use_attention=true", "network_g.use_attention is True in the options, False in the checkpoint"),
        ("network_g.type=paragonsr2_xs", "network_g.type is paragonsr2_xs in the options, paragonsr2 in the"),
        ("train.optim_g.type=Adam", "train.optim_g.type is adam in the options, adamw in the checkpoint"),
        ("train.ema_decay=0", "train.ema_decay is 0 in the options, above 0 in the checkpoint"),
    ],
)
def test_unresumable_change_is_refused_before_any_step(straight, argument, text):
    _, folder = straight
    result = run("train.py", "-opt", "options.yml", "--auto_resume", "--set", argument, folder=folder)
    assert result.code == 4, result.output
    assert "Cannot resume: " in result.output
    assert text in result.output


def test_inexact_resume_changes_are_reported(straight, tmp_path):
    _, reference = straight
    folder = tmp_path / "copy"
    shutil.copytree(reference, folder)
    (folder / "data/hr/000.png").unlink()
    (folder / "data/lr/000.png").unlink()
    arguments = ("--auto_resume", "--set", "train.total_iter=14", "--set", "datasets.train.batch_size_per_gpu=3")
    result = run("train.py", "-opt", "options.yml", *arguments, folder=folder)
    assert result.code == 0, result.output
    assert "Exact resume is off: datasets.train.batch_size_per_gpu (2 -> 3) changed." in result.output
    assert "Dataset changed since the checkpoint: 5 -> 4 images. Continuing at iteration 12." in result.output
    assert result.output.rstrip().endswith("finished: 14/14")


def test_validation_logging_and_saving_do_not_change_a_bit(straight, tmp_path):
    accum, reference = straight
    folder = prepare(tmp_path, accum_iter=accum)
    quiet = ["val.val_enabled=false", "logger.print_freq=100", "logger.save_checkpoint_freq=100"]
    arguments = [part for change in quiet for part in ("--set", change)]
    result = run("train.py", "-opt", "options.yml", *arguments, folder=folder)
    assert result.code == 0, result.output
    for name in ("net_g_12.safetensors", "net_g_ema_12.safetensors"):
        models = "experiments/run/models"
        assert_same_bits(load_file(folder / models / name), load_file(reference / models / name))


def killed_before_the_first_checkpoint(folder):
    prepare(folder)
    write_options(folder, {"plugins": ["killer.py"], "logger": {"save_checkpoint_freq": 100}} | LOSSES)
    result = run("train.py", "-opt", "options.yml", folder=folder, KILL_AT="7", KILL_WITH=str(int(signal.SIGKILL)))
    assert result.code == -signal.SIGKILL
    models = folder / "experiments/run/models"
    return {path.name: path.read_bytes() for path in models.glob("net_*")}


def test_run_killed_before_a_checkpoint_is_not_overwritten_silently(tmp_path):
    before = killed_before_the_first_checkpoint(tmp_path)
    assert "net_g_best_psnr.safetensors" in before
    result = run("train.py", "-opt", "options.yml", folder=tmp_path)
    assert result.code == 2
    assert "experiments/run exists (it has weights but no training state). Add --overwrite" in result.output
    again = run("train.py", "-opt", "options.yml", "--auto_resume", folder=tmp_path)
    assert again.code == 0, again.output
    assert "has no complete checkpoint: starting at iteration 0; its files are kept as *.superseded" in again.output
    models = tmp_path / "experiments/run/models"
    for name, data in before.items():
        assert (models / f"{name}.superseded").read_bytes() == data


def test_kill_inside_the_first_save_does_not_block_the_run(straight, tmp_path):
    _, reference = straight
    folder = tmp_path / "copy"
    shutil.copytree(reference, folder)
    states = folder / "experiments/run/training_states"
    for name in ("5.json", "10.json", "12.json", "10.state", "12.state"):
        (states / name).unlink()
    for role in ("g", "g_ema"):
        for later in (10, 12):
            (folder / f"experiments/run/models/net_{role}_{later}.safetensors").unlink()
    result = run("train.py", "-opt", "options.yml", "--auto_resume", folder=folder)
    assert result.code == 0, result.output
    assert "has no complete checkpoint: starting at iteration 0" in result.output
    assert_same_bits(final_state(folder), final_state(reference))


def test_named_state_with_auto_resume_keeps_newer_states(straight, tmp_path):
    _, reference = straight
    folder = tmp_path / "copy"
    shutil.copytree(reference, folder)
    state = ("--set", "path.resume_state=experiments/run/training_states/5.state")
    result = run("train.py", "-opt", "options.yml", *state, "--auto_resume", folder=folder)
    assert result.code == 0, result.output
    assert "path.resume_state is ignored: auto_resume continues from the newest state, 12." in result.output
    assert (folder / "experiments/run/training_states/12.json").exists()
    earlier = run("train.py", "-opt", "options.yml", *state, folder=folder)
    assert earlier.code == 0, earlier.output
    assert "The run continues from 5; its later states (10, 12) are kept as *.superseded." in earlier.output


def test_foreign_state_is_adopted_only_into_an_empty_folder(straight, tmp_path):
    _, reference = straight
    folder = tmp_path / "copy"
    shutil.copytree(reference, folder)
    state = ("--set", "path.resume_state=experiments/run/training_states/10.state")
    other = run("train.py", "-opt", "options.yml", *state, "--set", "name=other", folder=folder)
    assert other.code == 0, other.output
    assert "Resuming other at iteration 10 (exact)." in other.output
    models = folder / "experiments/other/models"
    assert (models / "net_g_best_psnr.safetensors").exists()
    assert_same_bits(load_file(models / "net_g_12.safetensors"), final_state(reference)[1]["net_g_12.safetensors"])
    mixed = run("train.py", "-opt", "options.yml", *state, "--set", "name=other", folder=folder)
    assert mixed.code == 2
    assert "is a state of another run, and experiments/other has states of its own" in mixed.output


def test_auto_resume_without_a_run_starts_one_and_reports_it(tmp_path):
    prepare(tmp_path)
    result = run("train.py", "-opt", "options.yml", "--auto_resume", folder=tmp_path)
    assert result.code == 0, result.output
    assert "auto_resume: there is no run in experiments/run yet; starting at iteration 0." in result.output
    again = run("train.py", "-opt", "options.yml", "--overwrite", "--set", "auto_resume=true", folder=tmp_path)
    assert again.code == 0, again.output
    assert "the old run is kept as" in again.output


def test_adopted_run_that_died_early_can_restart(straight, tmp_path):
    _, reference = straight
    folder = tmp_path / "copy"
    shutil.copytree(reference, folder)
    models = folder / "experiments/other/models"
    models.mkdir(parents=True)
    (models / "net_g_best_psnr.safetensors").write_bytes(b"left by the first start")
    state = ("--set", "path.resume_state=experiments/run/training_states/10.state", "--set", "name=other")
    refused = run("train.py", "-opt", "options.yml", *state, folder=folder)
    assert refused.code == 2
    assert "experiments/other has weights of its own" in refused.output
    again = run("train.py", "-opt", "options.yml", *state, "--auto_resume", folder=folder)
    assert again.code == 0, again.output
    assert "Resuming other at iteration 10 (exact)." in again.output
    assert (models / "net_g_best_psnr.safetensors.superseded").read_bytes() == b"left by the first start"


def test_overwrite_and_resume_are_exclusive(straight, tmp_path):
    _, reference = straight
    folder = tmp_path / "copy"
    shutil.copytree(reference, folder)
    both = run("train.py", "-opt", "options.yml", "--auto_resume", "--overwrite", folder=folder)
    assert both.code == 2
    state = ("--set", "path.resume_state=experiments/run/training_states/5.state")
    result = run("train.py", "-opt", "options.yml", "--overwrite", *state, folder=folder)
    assert result.code == 2
    assert "contradict each other" in result.output
    assert not list((folder / "experiments").glob("run_replaced_*"))


def test_another_memory_format_resumes_inexactly_with_a_warning(straight, tmp_path):
    _, reference = straight
    folder = tmp_path / "copy"
    shutil.copytree(reference, folder)
    for name in ("12.json", "12.state"):
        (folder / "experiments/run/training_states" / name).unlink()
    arguments = ("--auto_resume", "--set", "use_channels_last=false", "--set", "datasets.train.use_rot=false")
    result = run("train.py", "-opt", "options.yml", *arguments, folder=folder)
    assert result.code == 0, result.output
    changed = "memory format (channels_last -> contiguous_format), datasets.train.use_rot (true -> false) changed"
    assert f"Exact resume is off: {changed}" in result.output


def test_bit_equality_breaks_are_named(straight, tmp_path):
    breaks = {
        "fast_matmul=true": "fast_matmul (false -> true)",
        "deterministic=true": "deterministic (false -> true)",
        "network_g.upsampler_alpha=0.3": "network_g.upsampler_alpha (0.5 -> 0.3)",
        "train.optim_g.lr=0.002": "train.optim_g.lr (0.001 -> 0.002)",
        "train.scheduler.gamma=0.25": "train.scheduler.gamma (0.5 -> 0.25)",
        "train.warmup_iter=2": "train.warmup_iter (0 -> 2)",
    }
    shutil.copytree(straight[1], tmp_path, dirs_exist_ok=True)
    arguments = [part for change in (*breaks, "train.total_iter=13") for part in ("--set", change)]
    result = run("train.py", "-opt", "options.yml", "--auto_resume", *arguments, folder=tmp_path)
    assert result.code == 0, result.output
    named = result.output.partition("Exact resume is off: ")[2].partition(" changed.")[0]
    assert set(breaks.values()) <= set(named.split(", ")), result.output
    assert "(exact)" not in result.output


def test_replaced_photos_of_equal_names_and_sizes_are_detected(straight, tmp_path):
    shutil.copytree(straight[1], tmp_path, dirs_exist_ok=True)
    for folder, count in (("data", 5), ("val", 2)):
        before = {path: path.read_bytes() for path in (tmp_path / folder).rglob("*.png")}
        write_pairs(tmp_path / folder, count, (20, 24), seed=1234, smooth=True)
        assert all(path.read_bytes() != data for path, data in before.items())
    result = run("train.py", "-opt", "options.yml", "--auto_resume", folder=tmp_path)
    assert result.code == 0, result.output
    assert "(exact)" not in result.output
    assert "Dataset changed since the checkpoint: 5 images of other" in result.output
    assert "Validation changed since the checkpoint: datasets.val (2 images of other" in result.output


def finished(folder, total, **train):
    workplace(folder)
    write_options(folder, {"train": {"total_iter": total} | train})
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    return folder


@pytest.mark.parametrize(
    "scheduler", [pytest.param(None, marks=pytest.mark.nightly), {"type": "MultiStepLR", "milestones": [6, 13]}]
)
def test_longer_run_is_exact_without_length_dependent_parts(tmp_path, scheduler):
    train = {"scheduler": scheduler}
    long, short = finished(tmp_path / "long", 16, **train), finished(tmp_path / "short", 12, **train)
    result = run("train.py", "-opt", "options.yml", "--auto_resume", "--set", "train.total_iter=16", folder=short)
    assert "Resuming run at iteration 12 (exact)." in result.output
    assert_same_bits(final_state(short, 16), final_state(long, 16))


def test_longer_cosine_is_reported_as_another_run(tmp_path):
    train = {"scheduler": {"type": "CosineAnnealingLR", "milestones": None, "gamma": None}}
    long, short = (finished(tmp_path / name, total, **train) for name, total in (("long", 16), ("short", 12)))
    result = run("train.py", "-opt", "options.yml", "--auto_resume", "--set", "train.total_iter=16", folder=short)
    assert result.code == 0, result.output
    assert "Exact resume is off: train.total_iter (12 -> 16) changed." in result.output
    assert "(exact)" not in result.output
    one, other = (final_state(folder, 16)[1]["net_g_16.safetensors"] for folder in (long, short))
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_run_whose_crops_and_losses_change_resumes_exactly(tmp_path):
    """Stopped in the middle of the last but one crop size; the handover of the losses lies in a log window."""
    data = {"crop_growth": [{"lq_size": 6, "until": 4}, {"lq_size": 8, "until": 9}], "candidates": 2}
    losses = [{"type": "L1Loss", "stop_iter": 7}, {"type": "MSELoss", "luma": True, "start_iter": 7}]
    folders = [workplace(tmp_path / name) for name in ("straight", "stopped")]
    for folder, workers in zip(folders, (0, 2), strict=True):
        train = data | {"candidates_until": 10, "num_worker_per_gpu": workers}
        write_options(folder, {"datasets": {"train": train}, "train": {"losses": losses}})
    assert run("train.py", "-opt", "options.yml", folder=folders[0]).code == 0
    part = ("--set", "train.total_iter=8", "--set", "logger.save_checkpoint_freq=8")
    assert run("train.py", "-opt", "options.yml", *part, folder=folders[1]).code == 0
    assert run("train.py", "-opt", "options.yml", "--auto_resume", folder=folders[1]).code == 0
    (state, files), (resumed, again) = map(final_state, folders)
    assert_same_bits(files, again)
    assert_same_bits(state["learners"], resumed["learners"])
    means = [line for line in record(folders[0]) if line["event"] == "train"]
    assert [sorted(key for key in line if key.startswith("loss/")) for line in means][-3:] == [
        ["loss/l1loss", "loss/mseloss", "loss/total"],
        ["loss/mseloss"],
        ["loss/mseloss"],
    ]


SCHEDULE_FREE = {
    "datasets": {"train": {"accum_iter": 2}},
    "train": {
        "optim_g": {"type": "ScheduleFreeAdamW", "lr": 5e-3},
        "warmup_iter": 3,
        "scheduler": None,
        "grad_clip": True,
        "grad_clip_max_norm": 0.05,
        "training_automations": {"enabled": True, "IntelligentLearningRateScheduler": {}},
    },
}


@pytest.fixture(scope="module")
def schedule_free(tmp_path_factory):
    pytest.importorskip("pytorch_optimizer")
    folder = workplace(tmp_path_factory.mktemp("schedule_free"))
    write_options(folder, SCHEDULE_FREE)
    result = run("train.py", "-opt", "options.yml", folder=folder)
    assert result.code == 0, result.output
    return folder


def test_a_schedule_free_average_is_what_is_saved_and_scored(schedule_free):
    state, files = final_state(schedule_free)
    live, average = files["net_g_12.safetensors"], files["net_g_ema_12.safetensors"]
    moments = state["learners"]["net_g"]["optimizer"]["state"]
    anchors = {tuple(moments[key]["z"].shape) for key in moments}
    assert {tuple(value.shape) for value in live.values()} >= anchors
    assert any(not torch.equal(value, average[name]) for name, value in live.items())
    scores = {entry["iter"]: entry["val/val/psnr"] for entry in record(schedule_free) if "val/val/psnr" in entry}
    best = max(scores, key=scores.__getitem__)
    if best == TOTAL:
        assert_same_bits(files["net_g_best_psnr.safetensors"], average)


def test_schedule_free_resumes_bitwise_exactly(schedule_free, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(schedule_free, folder)
    state = "path.resume_state=experiments/run/training_states/5.state"
    result = run("train.py", "-opt", "options.yml", "--set", state, folder=folder)
    assert "Resuming run at iteration 5 (exact)." in result.output
    assert_same_bits(final_state(folder), final_state(schedule_free))
    assert trained(record(folder)) == trained(record(schedule_free))
    assert any(path.endswith("weight_sum") for path, _ in flatten(final_state(folder)[0]))
