"""Every option is compared on resume, except those declared to change nothing."""

import pytest
import yaml
from pydantic import ConfigDict
from runkit import base_options, merged, write_options
from torch import nn

import traiNNer.run.build  # noqa: F401 - it registers the components
from traiNNer.config.choice import Choice
from traiNNer.config.load import load_options
from traiNNer.config.options import TrainOptions
from traiNNer.engine.checkpoint.exactness import exactness_warnings
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.registry import Influence, StrictOptions, influence_of
from traiNNer.run.automations import plain_options
from traiNNer.run.identity import identity, stream_identity

AUTOMATIONS = {
    "enabled": True,
    "IntelligentLearningRateScheduler": {},
    "IntelligentEarlyStopping": {"monitor_metric": "val/psnr"},
}
FULL = {
    "use_amp": True,
    "amp_bf16": True,
    "datasets": {"train": {"split": "all"}},
    "train": {"grad_clip": True, "training_automations": AUTOMATIONS, "dynamic_loss_scheduling": {"enabled": True}},
}
NEUTRAL = {
    "name", "num_gpu", "dist", "plugins", "auto_resume", "stages", "path.*", "logger.*", "val.save_img",
    "train.suspects", "use_checkpointing",
    *(f"datasets.{key}.{name}" for key in ("train", "val") for name in (
        "num_worker_per_gpu", "pin_memory", "dataroot_gt", "dataroot_lq", "cache", "cache_mb", "max_pixels", "strict",
        "split", "meta_info",
    )),
}  # fmt: skip
RUNTIME = {"deterministic", "use_amp", "amp_bf16", "use_channels_last", "fast_matmul", "use_compile"}


SET = {"type": "PairedImageDataset", "dataroot_gt": "more/hr", "dataroot_lq": "more/lr"}


class Images:
    """A dataset with only a fingerprint."""

    def __init__(self, count=5):
        self.count = count

    def fingerprint(self):
        return {"count": self.count, "sha256": "a", "content": "b"}


def load(folder, changes=None):
    return load_options(write_options(folder, changes), TrainOptions, []).options


def stream(options):
    return stream_identity(options, {"train": Images(), "val": Images()}, plain_options(options))


def warnings_of(before, now):
    state = {"progress": {"iteration": 5}, "environment": {}, "stream": stream(before)}
    return " ".join(exactness_warnings(state, {}, stream(now)))


class Unchecked(StrictOptions):
    """Options of any names and values."""

    model_config = ConfigDict(extra="allow")


def another(value):
    """Return another value of the same type; it need not be valid for the option."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value * 2 + 1
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, list | tuple):
        return type(value)([*value, 1])
    return 1 if value is None else {**value, "added": 1}


def variants(options, inherited=Influence.TRAINING):
    """Yield (path, options with another value there, influence) for every field of the tree."""
    for name, field in type(options).model_fields.items():
        value, influence = getattr(options, name), influence_of(field) or inherited
        for path, changed, found in varied(options, name, value, influence):
            yield path, options.model_copy(update={name: changed}), found


def varied(options, name, value, influence):
    if isinstance(options, Choice) and name == "type":
        return  # other components have other options: see below
    if isinstance(options, Choice) and name == "options":
        fields = options.registry[options.type].options.model_fields
        for key, item in options.plain().items():
            changed = Unchecked.model_construct(**options.plain() | {key: another(item)})
            yield key, changed, influence_of(fields[key]) or influence
    elif isinstance(value, StrictOptions):
        yield from ((f"{name}.{path}", *rest) for path, *rest in variants(value, influence))
    elif isinstance(value, dict) and value:
        prefix = "" if name == "automations" else f"{name}."
        for key, item in value.items():
            for path, changed, found in variants(item, influence):
                yield f"{prefix}{key}.{path}", value | {key: changed}, found
    elif isinstance(value, tuple) and value and isinstance(value[0], StrictOptions):
        for path, changed, found in variants(value[0], influence):
            yield f"{name}[0].{path}", (changed, *value[1:]), found
    else:
        yield name, another(value), influence


def is_listed(path, listed):
    return path in listed or f"{path.split('.')[0]}.*" in listed


def test_every_changed_option_is_named_unless_declared_otherwise(tmp_path):
    options = load(tmp_path, FULL)
    seen = dict.fromkeys(Influence, 0)
    for path, changed, influence in variants(options):
        text, seen[influence] = warnings_of(options, changed), seen[influence] + 1
        assert is_listed(path, NEUTRAL) == (influence is Influence.NEUTRAL), path
        assert (path in RUNTIME) == (influence is Influence.RUNTIME), path
        is_compared = influence not in (Influence.NEUTRAL, Influence.RUNTIME)
        whole = path.endswith(".enabled") and "[" not in path and path.count(".") == 2  # a disabled section
        name = path.removesuffix(".enabled") if whole else path
        assert (f"{name} (" in text or f"{name}.added (" in text) if is_compared else text == "", (path, text)
    assert min(seen.values()) > 0
    assert seen[Influence.TRAINING] > 50


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"train": {"optim_g": {"type": "Adam"}}}, "train.optim_g (adamw -> adam)"),
        ({"train": {"losses": [{"type": "MSELoss"}]}}, "train.losses[0] (l1loss -> mseloss)"),
        ({"train": {"losses": [{"type": "L1Loss"}] * 2}}, "train.losses[1] (none -> l1loss)"),
        ({"train": {"scheduler": None}}, "train.scheduler (multisteplr -> none)"),
        ({"train": {"training_automations": AUTOMATIONS}}, "train.training_automations (none -> on)"),
        ({"datasets": {"val_2": SET}}, "Validation changed since the checkpoint: datasets.val_2 (none -> pairedimage"),
        ({"val": {"metrics": {"ssim": None}}}, "val.metrics.ssim (ssim -> none)"),
    ],
)
def test_sections_that_come_and_go_are_named(tmp_path, changes, text):
    assert text in warnings_of(load(tmp_path), load(tmp_path, changes))


def test_disabled_section_equals_no_section(tmp_path):
    off = {"train": {"training_automations": AUTOMATIONS | {"enabled": False}}}
    assert warnings_of(load(tmp_path), load(tmp_path, off)) == ""


@pytest.mark.parametrize(
    ("scheduler", "needs"),
    [
        (None, False),
        ({"type": "MultiStepLR", "milestones": [6]}, False),
        ({"type": "CosineAnnealingLR"}, True),
        ({"type": "OneCycleLR"}, True),
    ],
)
def test_only_what_is_built_from_the_length_makes_it_count(tmp_path, scheduler, needs):
    path = tmp_path / "options.yml"
    tree = merged(base_options(), {"train": {"scheduler": None}})
    tree["train"] |= {"scheduler": scheduler} if scheduler else {}
    path.write_text(yaml.safe_dump(tree))
    assert stream(load_options(path, TrainOptions, []).options)["needs_length"] == needs
    longer = load_options(path, TrainOptions, ["train.total_iter=24"]).options
    before = load_options(path, TrainOptions, []).options
    assert ("train.total_iter (12 -> 24)" in warnings_of(before, longer)) == needs


@pytest.mark.parametrize("switch", sorted(RUNTIME))
def test_runtime_switches_are_in_the_environment(tmp_path, switch, restored_switches):
    base = {"num_gpu": 0, "use_amp": True, "amp_bf16": True}
    options = load(tmp_path, base)
    other = options.model_copy(update={switch: not getattr(options, switch)})
    assert start_runtime(options)[0].environment() != start_runtime(other)[0].environment()


@pytest.fixture
def restored_switches():
    import os

    import torch

    before = torch.get_float32_matmul_precision(), os.environ.get("CUBLAS_WORKSPACE_CONFIG")
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.use_deterministic_algorithms(False)
    if before[1] is None:
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


def test_identity_depends_on_shapes_not_values(tmp_path):
    options = load(tmp_path)
    one, same, wider = (identity(options, {"net_g": nn.Linear(2, width)}) for width in (3, 3, 4))
    assert one == same
    assert {key for key in one if one[key] != wider[key]} == {"network_g.tensors"}
    assert one["network_g.upsampler_alpha"] == 0.5


def test_edited_plugin_is_detected(tmp_path, monkeypatch):
    plugin = tmp_path / "own_loss.py"
    plugin.write_text("A = 1\n")
    monkeypatch.setattr("traiNNer.run.identity.imported_files", lambda: [(str(plugin), "plugin")])
    options = load(tmp_path)
    before = {"progress": {"iteration": 5}, "environment": {}, "stream": stream(options)}
    plugin.write_text("A = 2\n")
    (line,) = exactness_warnings(before, {}, stream(options))
    assert "plugins.own_loss.py (" in line
