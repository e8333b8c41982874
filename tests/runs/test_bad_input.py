"""User errors give a clear message and the right exit code, never a traceback."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from imagekit import write_pairs
from runkit import record, run, workplace, write_options
from safetensors.torch import load_file, save_file

from traiNNer.engine.run_folder import RunFolder, check_writable, create
from traiNNer.errors import CannotWrite

FEW = {"train": {"total_iter": 4}}


@pytest.fixture
def place(tmp_path):
    return workplace(tmp_path)


def refused(folder, code, *texts, script="train.py", arguments=(), options="options.yml"):
    result = run(script, "-opt", options, *arguments, folder=folder)
    assert result.code == code, result.output
    assert "Traceback" not in result.output
    for text in texts:
        assert re.search(text, result.output), f"no '{text}' in:\n{result.output}"
    return result.output


def test_all_problems_of_an_option_file_are_reported_together(place):
    changes = {
        "train": {"ema_deca": 0.9, "losses": [{"type": "charbonier"}], "optim_g": {"lr": "high"}},
        "val": {"val_freq": "often"},
    }
    write_options(place, changes)
    output = refused(
        place,
        2,
        r"options.yml: 4 problems",
        r"line \d+ +train.ema_deca = 0.9 +unknown option; did you mean 'ema_decay'\?",
        r"line \d+ +train.losses\[0\].type = charbonier +no such loss; did you mean 'charbonnierloss'\?",
        r"line \d+ +train.optim_g.lr = high +must be a number",
        r"line \d+ +val.val_freq = often +must be a whole number",
    )
    assert not (place / "experiments").exists(), output


def test_wrong_options_of_muon_and_compact_are_reported_with_their_lines(place):
    muon = {"type": "Muon", "lr": 0, "momentun": 0.9, "ns_steps": 50, "betas": [0.9, 1.0]}
    changes = {"network_g": {"type": "compact", "num_feats": 32, "num_conv": 0}, "train": {"optim_g": muon}}
    write_options(place, changes)
    refused(
        place,
        2,
        r"options.yml: 6 problems",
        r"line \d+ +network_g.num_feats = 32 +unknown option; did you mean 'num_feat'\?",
        r"line \d+ +network_g.num_conv = 0 +must be greater than 0",
        r"line \d+ +train.optim_g.lr = 0 +must be greater than 0",
        r"line \d+ +train.optim_g.momentun = 0.9 +unknown option; did you mean 'momentum'\?",
        r"line \d+ +train.optim_g.ns_steps = 50 +must be at most 20",
        r"line \d+ +train.optim_g.betas\[1\] = 1.0 +must be less than 1",
    )
    write_options(place, {"network_g": {"type": "compact"}, "scale": 8})
    refused(place, 2, r"line \d+ +scale = 8 +compact is made for the scales 1, 2, 3, 4")


@pytest.mark.parametrize("name", ["../../x", "a/b", "/tmp/x", "..", "a\\b"])
def test_name_cannot_escape_the_experiments_folder(place, name):
    write_options(place, {"name": name})
    refused(place, 2, "is not allowed. Use letters, digits, space")
    assert not (place / "experiments").exists()


@pytest.mark.parametrize("folder", ["missing", "data/missing/deeper"])
def test_missing_folder_suggests_the_nearest_existing_one(place, folder):
    write_options(place, {"datasets": {"train": {"dataroot_gt": folder}}})
    refused(place, 3, re.escape(folder), "nearest|exists")


def test_missing_set_of_a_run_without_validation_is_left_out(place):
    places = {"dataroot_gt": "missing/hr", "dataroot_lq": "missing/lr"}
    write_options(place, {"datasets": {"val": places}, "val": {"val_enabled": False}, "train": {"total_iter": 2}})
    result = run("train.py", "-opt", "options.yml", folder=place)
    assert result.code == 0, result.output
    assert "Left out, since val.val_enabled is false: datasets.val.dataroot_" in " ".join(result.output.split())
    write_options(place, {"datasets": {"train": places}, "val": {"val_enabled": False}})
    refused(place, 3, "missing")


def test_empty_folder(place):
    for name in ("hr", "lr"):
        (place / "empty" / name).mkdir(parents=True)
    write_options(place, {"datasets": {"val": {"dataroot_gt": "empty/hr", "dataroot_lq": "empty/lr"}}})
    refused(place, 3, r"datasets\.val has no images in .*empty")


def test_missing_partners_are_counted_and_named(place):
    (place / "data/lr/001.png").unlink()
    (place / "data/hr/003.png").unlink()
    write_options(place)
    refused(place, 3, r"datasets\.train", "001", "003")
    assert not (place / "experiments").exists()


@pytest.mark.parametrize("kind", ["cut", "text", "zero"])
def test_one_corrupt_image_is_named(place, kind):
    path = place / "data/hr/002.png"
    data = path.read_bytes()
    path.write_bytes({"cut": data[: len(data) // 2], "text": b"<html>not found</html>", "zero": b""}[kind])
    write_options(place)
    refused(place, 3, r"datasets\.train", r"002\.png")


def test_undecodable_image_is_replaced_then_ends_the_run(place):
    path = place / "data/hr/002.png"
    data = bytearray(path.read_bytes())
    middle = data.index(b"IDAT") + 20
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(bytes(data))
    write_options(place)
    refused(place, 3, r"002\.png", r"damaged")


def test_pairs_of_equal_size_at_scale_two(place):
    shutil.rmtree(place / "data/lr")
    shutil.copytree(place / "data/hr", place / "data/lr")
    write_options(place)
    refused(place, 3, r"5 pairs do not fit scale 2", r"40|48", "scale")


def test_image_smaller_than_the_crop(place):
    write_options(place, {"datasets": {"train": {"lq_size": 64}}})
    refused(place, 3, r"datasets\.train", "small", "64")


def test_scale_three_with_an_odd_size(place):
    write_pairs(place / "odd", 2, (20, 25), scale=2, smooth=True)
    changes = {"scale": 3, "datasets": {"train": {"dataroot_gt": "odd/hr", "dataroot_lq": "odd/lr"}}}
    write_options(place, changes)
    refused(place, 3, r"do not fit scale 3", r"50x40")


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (lambda path: path.write_bytes(b""), r"w\.safetensors is empty \(0 bytes\)"),
        (lambda path: save_file({"conv.weight": torch.ones(3)}, path), r"does not fit paragonsr2: loaded 0/"),
    ],
    ids=["empty", "another arch"],
)
def test_unusable_weights(place, write, text):
    write(place / "w.safetensors")
    write_options(place, {"path": {"pretrain_network_g": "w.safetensors"}})
    refused(place, 2, text)


def test_unwritable_folder(place):
    (place / "experiments").write_text("a file where the folder should be")
    write_options(place)
    refused(place, 7, r"Cannot write to experiments/run")


FULL_DISK = """
import errno, os, stat
from pathlib import Path

real = os.fsync

def full(handle):
    if stat.S_ISREG(os.fstat(handle).st_mode) and {condition}:
        raise OSError(errno.ENOSPC, "No space left on device")
    real(handle)

os.fsync = full
"""


def test_persistent_disk_full_ends_the_run_after_three_failures(place):
    condition = "Path('experiments/run/training_states/2.json').exists()"
    (place / "full.py").write_text(FULL_DISK.format(condition=condition))
    write_options(place, {"plugins": ["full.py"], "logger": {"save_checkpoint_freq": 2}, "val": {"val_freq": 100}})
    output = refused(
        place,
        7,
        r"Could not save iteration 4: no space left on device.*Training continues; last good checkpoint: 2",
        r"Could not save iteration 6: no space left on device.*Training continues; last good checkpoint: 2",
        r"Could not save iteration 8: no space left on device.*Stopped at 8/12; last good checkpoint: 2",
    )
    assert "finished" not in output
    states = place / "experiments/run/training_states"
    assert {path.name for path in states.glob("[!.]*")} == {"2.json", "2.state"}
    (place / "full.py").write_text("")
    again = run("train.py", "-opt", "options.yml", "--auto_resume", folder=place)
    assert again.code == 0, again.output
    assert re.search(r"Exact resume is off: plugins\.full\.py \(\w+ -> \w+\) changed", again.output), again.output
    assert "Resuming run at iteration 2." in again.output


def test_transient_disk_full_costs_one_checkpoint(place):
    first = "Path('experiments/run/training_states/2.json').exists() and not Path('seen').exists()"
    condition = f"{first} and Path('seen').touch() is None"
    (place / "full.py").write_text(FULL_DISK.format(condition=condition))
    write_options(
        place, FEW | {"plugins": ["full.py"], "logger": {"save_checkpoint_freq": 1}, "val": {"val_freq": 100}}
    )
    result = run("train.py", "-opt", "options.yml", folder=place)
    assert result.code == 0, result.output
    assert result.output.count("Could not save") == 1
    assert result.output.rstrip().endswith("finished: 4/4")


POISON = '''
from torch import Tensor, nn

from traiNNer.registry import LOSSES


@LOSSES.register()
class PoisonLoss(nn.Module):
    """Not a number for some micro-batches.

    Args:
        first: from which micro-batch on.
        last: up to which.
    """

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first, self.last, self.count = first, last, 0

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        self.count += 1
        bad = self.first <= self.count <= self.last
        return (output - target).abs().mean() * (float("nan") if bad else 0.0)
'''


def poisoned(place, first, last, limit=3):
    (place / "poison.py").write_text(POISON)
    poison = {"type": "PoisonLoss", "first": first, "last": last}
    changes = {"train": {"losses": [{"type": "L1Loss"}, poison], "max_nonfinite": limit}}
    write_options(place, changes | {"plugins": ["poison.py"]})


def test_persistent_nonfinite_loss_names_term_images_and_last_state(place):
    poisoned(place, 7, 100)
    output = refused(
        place,
        5,
        r"Iteration 7: loss is not finite \(poisonloss\)\. Step skipped \(1 of 3\)\. Images: 00\d, 00\d",
        r"3 updates in a row were skipped",
        r"stopped: not finite at 9/12; learning rate .*last good checkpoint: 5",
    )
    assert output.count("Step skipped") == 3
    assert record(place)[-1]["exit_code"] == 5


def test_few_skipped_steps_do_not_end_the_run(place):
    poisoned(place, 7, 8)
    result = run("train.py", "-opt", "options.yml", folder=place)
    assert result.code == 0, result.output
    assert result.output.count("Step skipped") == 2
    assert result.output.rstrip().endswith("finished: 12/12")


def test_killed_worker_ends_the_run_promptly_with_a_cause(place):
    text = "\n".join(
        [
            "import os, signal",
            "from traiNNer.data.datasets import paired_images",
            "real = paired_images.PairedImageDataset.sample_at",
            "main = os.getpid()",
            "def sample_at(self, index, rng, iteration):",
            "    if os.getpid() != main and index == 3:",
            "        os.kill(os.getpid(), signal.SIGKILL)",
            "    return real(self, index, rng, iteration)",
            "paired_images.PairedImageDataset.sample_at = sample_at",
        ]
    )
    (place / "kill.py").write_text(text)
    write_options(place, {"plugins": ["kill.py"], "datasets": {"train": {"num_worker_per_gpu": 2}}})
    refused(place, 3, "Data worker died")


def test_workers_killed_during_a_step_change_no_weight(place):
    (place / "kill.py").write_text(
        "import multiprocessing, os, signal\n"
        "from traiNNer.engine import step\n"
        "real, count = step.Stepper.step, [0]\n"
        "def killing(self, batches, iteration=1):\n"
        "    count[0] += 1\n"
        "    if count[0] == 7:\n"
        "        for child in multiprocessing.active_children():\n"
        "            os.kill(child.pid, signal.SIGKILL)\n"
        "            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)\n"
        "    return real(self, batches, iteration)\n"
        "step.Stepper.step = killing\n"
    )
    changes = {"train": {"total_iter": 20}, "datasets": {"train": {"num_worker_per_gpu": 1}}, "val": {"val_freq": 500}}
    weights = []
    for plugins in ([], ["kill.py"]):
        write_options(place, changes | {"plugins": plugins})
        result = run("train.py", "-opt", "options.yml", "--overwrite", folder=place)
        assert result.code == 0, result.output
        told = "A data worker died (killed, maybe out of RAM" in result.output
        assert told == bool(plugins)
        weights.append(load_file(place / "experiments/run/models/net_g_20.safetensors"))
    for name, values in weights[0].items():
        assert torch.equal(values, weights[1][name])


@pytest.mark.skipif(os.name == "nt" or os.getuid() != 0, reason="only root can become somebody else")
def test_inaccessible_folder_is_not_an_internal_error(place):
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        folder = RunFolder(closed / "run", *[closed / name for name in "abcde"])
        try:
            check_writable(folder)
            create(folder)
        except CannotWrite:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_internal_error_shows_its_traceback_and_exits_1(place):
    (place / "bug.py").write_text(
        "from traiNNer.engine import step\nstep.split = 'planted'\n"  # the plugin's own error
    )
    write_options(place, {"plugins": ["bug.py"]})
    result = run("train.py", "-opt", "options.yml", folder=place)
    assert result.code == 1
    assert "TypeError: 'str' object is not callable" in result.output
    assert "Internal error (a bug in traiNNer). Please report it with the traceback above." in result.output


def test_offline_perceptual_loss_without_weights_names_file_and_option(place):
    write_options(place, {"train": {"losses": [{"type": "L1Loss"}, {"type": "PerceptualLoss"}]}})
    (place / "offline.py").write_text(
        "import urllib.request\n"
        "def closed(*a, **k):\n    raise urllib.error.URLError('offline')\n"
        "urllib.request.urlopen = closed\n"
    )
    write_options(
        place, {"train": {"losses": [{"type": "L1Loss"}, {"type": "PerceptualLoss"}]}, "plugins": ["offline.py"]}
    )
    refused(place, 2, r"vgg19-dcbb9e9d\.pth", "weights")


def test_check_validates_prints_the_options_and_writes_nothing(place):
    write_options(place)
    result = run("train.py", "-opt", "options.yml", "--check", "--set", "train.total_iter=77", folder=place)
    assert result.code == 0, result.output
    assert re.search(r"total_iter: 77 +# --set", result.output)
    assert re.search(r"ema_decay: 0.999 +# default", result.output)
    assert not (place / "experiments").exists()


def test_wrong_network_scale_is_found_before_training(place):
    (place / "wrong.py").write_text(
        "from torch import nn, Tensor\n"
        "from traiNNer.registry import ARCHS\n"
        "@ARCHS.register()\n"
        "class Wrong(nn.Module):\n"
        "    def __init__(self) -> None:\n        super().__init__()\n        self.c = nn.Conv2d(3, 3, 1)\n"
        "    def forward(self, lq: Tensor) -> Tensor:\n        return self.c(lq)\n"
    )
    write_options(place, {"plugins": ["wrong.py"], "network_g": {"type": "Wrong"}})
    refused(place, 2, "wrong makes 1x images, `scale` says 2")


def test_missing_option_file(place):
    write_options(place)
    refused(place, 2, r"option\.yml", r"options\.yml", options="option.yml")


def test_images_of_16_bits_gray_and_alpha_train(place):
    import cv2

    rng = np.random.default_rng(0)
    shutil.rmtree(place / "data")
    for name, side in (("hr", 48), ("lr", 24)):
        (place / "data" / name).mkdir(parents=True)
        cv2.imwrite(str(place / "data" / name / "deep.png"), rng.integers(0, 65536, (side, side, 3), np.uint16))
        cv2.imwrite(str(place / "data" / name / "gray.png"), rng.integers(0, 256, (side, side), np.uint8))
        cv2.imwrite(str(place / "data" / name / "alpha é 猫.png"), rng.integers(0, 256, (side, side, 4), np.uint8))
    write_options(place, FEW)
    result = run("train.py", "-opt", "options.yml", folder=place)
    assert result.code == 0, result.output


def test_validation_images_too_small_for_a_metric_fail_the_preflight(place):
    write_pairs(place / "tiny", 2, (6, 6), smooth=True)
    write_options(place, {"datasets": {"val": {"dataroot_gt": "tiny/hr", "dataroot_lq": "tiny/lr"}}})
    text = r"datasets\.val: ssim cannot be computed for its smallest image: SSIM needs 11x11 pixels"
    refused(place, 3, text)
    refused(place, 3, text, arguments=("--check",))
    assert not (place / "experiments").exists()


def test_undecodable_validation_image_is_named_before_the_first_iteration(place):
    path = place / "val/hr/001.png"
    data = bytearray(path.read_bytes())
    middle = data.index(b"IDAT") + 20
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(bytes(data))
    write_options(place)
    output = refused(place, 3, r"1 damaged images: val/hr/001\.png \(damaged: cannot be decoded\)")
    assert "datasets.val: this set cannot be used" in output
    assert not list(place.glob("experiments/run/training_states/[!.]*"))


def test_unsavable_validation_images_are_a_warning(place):
    write_options(place, FEW | {"val": {"save_img": True}, "path": {"visualization": "options.yml"}})
    result = run("train.py", "-opt", "options.yml", folder=place)
    assert result.code == 0, result.output
    assert "Could not save options.yml/val/000/000_4.png: " in result.output
    assert result.output.rstrip().endswith("finished: 4/4")


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (
            {"path": {"pretrain_network_g": "no.safetensors"}},
            2,
            r"path\.pretrain_network_g: no\.safetensors does not exist",
        ),
        ({"path": {"pretrain_network_g": "data"}}, 2, r"path\.pretrain_network_g: data is a folder"),
        ({"path": {"resume_state": "nope.state"}}, 2, r"path\.resume_state: nope\.state is not a training state"),
        ({"path": {"resume_state": "nowhere/5.state"}}, 2, r"path\.resume_state: nowhere/5\.state: no such folder"),
        (
            {"path": {"experiments_root": "options.yml"}},
            7,
            r"Cannot write to options\.yml/run \(options\.yml is a file",
        ),
        ({"train": {"losses": []}}, 2, r"line \d+ +train\.losses.*1 or more"),
        ({"datasets": {"train": {"lq_size": None}}}, 2, r"line \d+ +datasets\.train\.lq_size +is missing: side of the"),
        ({"datasets": {"train": {"dataroot_gt": None}}}, 2, r"line \d+ +datasets\.train\.dataroot_gt +is missing"),
        ({"datasets": {"val": {"dataroot_lq": ""}}}, 2, r"line \d+ +datasets\.val\.dataroot_lq .*1 or more characters"),
    ],
)
def test_static_problems_are_reported_before_the_run_and_by_check(place, change, code, text):
    write_options(place, change)
    refused(place, code, text)
    refused(place, code, text, arguments=("--check",))
    assert not (place / "experiments").exists()


OWN_LOSS = """
from torch import Tensor, nn

from traiNNer.registry import LOSSES


@LOSSES.register()
class OwnLoss(nn.Module):
    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        {body}
"""


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return output - target", r"must return one number, not a tensor of shape"),
        ("return 0.5", r"AttributeError.*numel|must return"),
        ("return (output - target).abs().mean().detach()", r"has no gradient for the output"),
        ("raise KeyError('x')", r"KeyError: 'x' \(own\.py line 10\)"),
    ],
)
def test_loss_contract_violation_is_reported_before_training(place, body, text):
    (place / "own.py").write_text(OWN_LOSS.format(body=body))
    write_options(place, {"plugins": ["own.py"], "train": {"losses": [{"type": "OwnLoss"}]}})
    refused(place, 2, r"train\.losses\[0\] ownloss", text, arguments=("--check",))


OWN_METRIC = """
from traiNNer.registry import METRICS


@METRICS.register()
class Own:
    {attributes}

    def __call__(self, output, target):
        return {value}
"""


@pytest.mark.parametrize(
    ("attributes", "value", "text"),
    [
        ("needs_target = True", "1.0", r"needs the attributes direction"),
        ("direction, needs_target = 'down', True", "1.0", r"needs the attributes direction"),
        ("direction, needs_target = 'higher', True", "'good'", r"must return one number, not str"),
        ("direction, needs_target = 'higher', True", "1 / 0", r"ZeroDivisionError.*own\.py line 10"),
    ],
)
def test_metric_contract_violation_is_reported_before_training(place, attributes, value, text):
    (place / "own.py").write_text(OWN_METRIC.format(attributes=attributes, value=value))
    write_options(place, {"plugins": ["own.py"], "val": {"metrics": {"own": {}}}})
    refused(place, 2, text)


FAILING_METRIC = """
from traiNNer.registry import METRICS


@METRICS.register()
class Fragile:
    direction, needs_target, calls = "higher", True, 0

    def __call__(self, output, target):
        Fragile.calls += 1
        if Fragile.calls == 2:  # the first call is that of the check
            raise ValueError("too dark")
        return 1.0
"""


def test_metric_that_fails_once_costs_one_validation(place):
    (place / "fragile.py").write_text(FAILING_METRIC)
    changes = {
        "train": {"total_iter": 6},
        "val": {"val_freq": 3, "metrics": {"fragile": {}}},
        "plugins": ["fragile.py"],
    }
    write_options(place, changes)
    result = run("train.py", "-opt", "options.yml", folder=place)
    assert result.code == 0, result.output
    expected = (
        r"Warning: No scores at iteration 3: val: fragile cannot be computed for \S+: too dark. Training continues."
    )
    assert re.search(expected, result.output), result.output
    assert "best fragile: 1.0000 at iteration 6" in result.output


def test_disk_full_at_start_is_not_an_internal_error(place):
    (place / "full.py").write_text(FULL_DISK.format(condition="True"))
    write_options(place, {"plugins": ["full.py"]})
    refused(place, 7, r"Cannot write to experiments/run \(no space left on device\)")


def test_oom_is_reported_with_what_to_change(place):
    (place / "memory.py").write_text(
        "from traiNNer.engine import step\n"
        "real = step.Stepper.step\n"
        "count = [0]\n"
        "def hungry(self, batches, iteration=1):\n"
        "    count[0] += 1\n"
        "    if count[0] == 7:\n"
        '        raise RuntimeError("DefaultCPUAllocator: can\'t allocate memory: you tried to allocate 9 bytes")\n'
        "    return real(self, batches, iteration)\n"
        "step.Stepper.step = hungry\n"
    )
    write_options(place, {"plugins": ["memory.py"]})
    output = refused(place, 8, r"Out of memory at batch 2 \(iteration 7\)\. Try datasets\.train\.batch_size_per_gpu: 1")
    assert "last good checkpoint: 6" in output  # the step left no trace, so what was trained is saved
    assert output.splitlines()[-1] == "stopped: out of memory at 6/12"


def test_non_unicode_file_names_train_and_are_recorded(place):
    for part in ("data", "val"):
        for side in ("hr", "lr"):
            folder = os.fsencode(place / part / side)
            Path(os.fsdecode(folder + b"/000.png")).rename(os.fsdecode(folder + b"/\xff\xe9.png"))
    write_options(place, FEW | {"val": {"save_img": True}})
    result = run("train.py", "-opt", "options.yml", folder=place)
    assert result.code == 0, result.output


def test_validation_without_gt_is_reported(place):
    write_options(place, FEW | {"datasets": {"val": {"dataroot_gt": None}}})
    result = run("train.py", "-opt", "options.yml", folder=place)
    assert result.code == 0, result.output
    assert "datasets.val has no ground truth: psnr, ssim cannot be computed" in result.output
