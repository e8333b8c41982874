"""The example files of the user load unchanged."""

from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "data"
GUIDE = (DATA / "guide.yml").read_text(encoding="utf-8")
RTX_3060 = (DATA / "guide_rtx3060.yml").read_text(encoding="utf-8")


def test_complete_example_keeps_every_value(load, options_of):
    loaded = load(GUIDE)
    options = loaded.options
    assert (options.name, options.scale, options.num_gpu, options.manual_seed) == (
        "2xParagonSR2_Nano_TrainingAutomations", 2, 1, 42,
    )  # fmt: skip
    assert options.network_g.type == "paragonsr2"
    written = {"num_feat": 48, "num_groups": 3, "num_blocks": 4, "use_attention": True}
    assert options.network_g.plain().items() >= written.items()
    assert options.datasets["train"].options.gt_size == 128
    assert options.datasets["train"].num_worker_per_gpu == 4
    assert options.train.optim_g.options.lr == 1e-4
    assert [loss.loss_weight for loss in options.train.losses] == [1.0, 0.1]
    assert options.train.losses[1].options.layers == ("relu1_2", "relu2_2", "relu3_4")
    assert {name: metric.better for name, metric in options.val.metrics.items()} == {"psnr": "higher", "ssim": "higher"}
    assert options.path.models == "experiments/2xParagonSR2_Nano_TrainingAutomations/models"
    assert options.logger.save_checkpoint_format == "safetensors"
    fallback = options_of(loaded, "IntelligentLearningRateScheduler").fallback.model_dump()
    assert fallback == {"scheduler_type": "cosine", "scheduler_params": {"eta_min": 1e-5, "T_max": 50000}}
    assert options_of(loaded, "DynamicBatchSizeOptimizer").fallback.batch_size == 8
    assert options_of(loaded, "AdaptiveGradientClipping").adjustment_factor == 1.2
    assert options_of(loaded, "IntelligentEarlyStopping").min_epochs == 1000


def test_complete_example_gives_two_warnings(load):
    assert load(GUIDE).warnings == (
        "no effect in validation, where all images are taken whole and in turn "
        "(datasets.val: num_worker_per_gpu, lq_size, gt_size, batch_size_per_gpu)",
        "IntelligentEarlyStopping.patience = 2000 is below 5 validations: 5000 is used",
    )


def test_every_line_of_the_complete_example_is_a_source(load):
    """No key of the file is dropped, except those of the warning and the repeated scale."""
    used = {int(source.split()[-1]) for source in load(GUIDE).sources.values() if source.startswith("file")}
    sections = {
        number
        for number, line in enumerate(GUIDE.splitlines(), 1)
        if line.strip().endswith(":") or not line.strip() or line.strip().startswith("#")
    }
    rest = set(range(1, len(GUIDE.splitlines()) + 1)) - sections - used
    dropped = {GUIDE.splitlines()[number - 1].strip() for number in rest}
    assert dropped == {"num_worker_per_gpu: 2", "lq_size: 64", "gt_size: 128", "batch_size_per_gpu: 1", "scale: 2"}


def test_round_trips_through_a_file(load):
    loaded = load(GUIDE)
    assert load(loaded.effective()).options == loaded.options


def _automated(base: str, text: str) -> str:
    indented = "".join(f"  {line}" for line in text.splitlines(keepends=True))
    return base.replace("train:\n  total", f"train:\n  grad_clip: true\n{indented}  total", 1)


def test_rtx_3060_example_warns_about_the_misplaced_key(load, base, options_of):
    loaded = load(_automated(base, RTX_3060))
    assert options_of(loaded, "IntelligentLearningRateScheduler").plateau_patience == 1000
    assert options_of(loaded, "DynamicBatchSizeOptimizer").target_vram_usage == 0.8
    misplaced = [text for text in loaded.warnings if "target_vram_usage" in text]
    assert misplaced == [
        "train.training_automations.IntelligentLearningRateScheduler.target_vram_usage (line 23): "
        "target_vram_usage belongs to DynamicBatchSizeOptimizer; ignored"
    ]


def test_overrides_of_the_fidelity_example(load, base, options_of):
    overrides = """\
  training_automations:
    IntelligentEarlyStopping:
      patience: 8000
      min_improvement: 0.0002
    IntelligentLearningRateScheduler:
      plateau_patience: 3000
      min_lr_factor: 0.7
  dynamic_loss_scheduling:
    enabled: true
    auto_calibrate: true
  warmup_iter: 2000
  val:
    val_freq: 200
    metrics: {psnr: {}}
"""
    text = base[: base.index("val:\n  val_freq")].replace("lr: 1e-3", "lr: 5e-5, weight_decay: 5e-5") + overrides
    loaded = load(text)
    options = loaded.options
    assert options.val.val_freq == 200
    assert options.train.optim_g.options.lr == 5e-5
    assert options_of(loaded, "IntelligentEarlyStopping").patience == 8000
    assert options_of(loaded, "IntelligentEarlyStopping").min_improvement == 0.0002
    assert options_of(loaded, "IntelligentLearningRateScheduler").min_lr_factor == 0.7
    assert options.train.training_automations.active()["DynamicLossScheduling"].options.auto_calibrate


@pytest.mark.parametrize("print_freq", [10])
def test_debug_example(load, base, print_freq):
    assert load(f"{base}logger:\n  print_freq: {print_freq}\n").options.logger.print_freq == 10
