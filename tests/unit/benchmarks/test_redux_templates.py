"""A template in the style of other frameworks is counted by its reasons."""

from benchmarks.redux_templates import count, report
from traiNNer.config.options import TrainOptions

TEMPLATE = """\
name: 4x_Compact
scale: 4
use_amp: true
amp_bf16: true
use_compile: false
compile_mode: default
num_gpu: auto
datasets:
  train: {type: pairedimagedataset, dataroot_gt: [hr], dataroot_lq: [lr], lq_size: 64, num_worker_per_gpu: 8}
  val: {name: Val Dataset, type: pairedimagedataset, dataroot_gt: [vhr], dataroot_lq: [vlr]}
network_g: {type: compact}
path: {pretrain_network_g: p.pth, param_key_g: ~, strict_load_g: true, resume_state: ~}
train:
  ema_decay: 0.999
  ema_power: 0.75
  optim_g: {type: AdamW, lr: !!float 1e-4, weight_decay: 0, betas: [0.9, 0.99]}
  scheduler: {type: MultiStepLR, milestones: [150, 200], gamma: 0.5}
  total_iter: 250
  warmup_iter: -1
  losses: [{type: l1loss, loss_weight: 1.0}, {type: zzloss, loss_weight: 0}]
  use_moa: false
  moa_augs: ['none', 'mixup']
val: {val_enabled: false, tile_size: 0, tile_overlap: 8, metrics: {topiq: {type: calculate_topiq}}}
logger: {print_freq: 100, save_checkpoint_freq: 100, use_tb_logger: true}
"""
REASONS = {
    "network.yml": ("compact", "nonet"),
    "feature.yml": ("scale: 4\n", "scale: 4\nhigh_order_degradation: true\nblur_prob: 0.5\n"),
    "both.yml": ("scale: 4\n", "scale: 4\nhigh_order_degradation: true\nnonsense: 1\n"),
    "loss.yml": ("zzloss, loss_weight: 0", "zzloss, loss_weight: 1"),
}


def test_templates_are_counted_by_reason(tmp_path):
    (tmp_path / "loads.yml").write_text(TEMPLATE)
    for name, (old, new) in REASONS.items():
        assert old in TEMPLATE
        (tmp_path / name).write_text(TEMPLATE.replace(old, new))
    found = count(sorted(tmp_path.glob("*.yml")), TrainOptions)
    assert (found.files, found.loaded, found.carried, found.carried_loaded) == (5, 1, 4, 1)
    assert found.reasons == {
        "[network_g]": 1,
        "[feature high_order_degradation]": 2,
        "[losses: zzloss]": 1,
        "error: nonsense unknown option": 1,
    }
    assert found.alone == {"[network_g]": 1, "[feature high_order_degradation]": 1, "[losses: zzloss]": 1}
    passed = {"compile_mode", "train.ema_power", "train.warmup_iter", "train.losses"}
    assert set(found.changes) == passed | {"val.metrics.topiq"}
    text = report(found, tmp_path, changes=True)
    assert text.startswith("1 of 5 files load\n1 of 4 files whose network is one of traiNNer's\n")
    assert "    1      0  error: nonsense unknown option  (both.yml)" in text
    assert "    1  train.ema_power" in text
