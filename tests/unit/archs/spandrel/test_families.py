"""The families of spandrel have the published sizes, and refuse what no weights file would bring back."""

import pytest
import torch
from pydantic import ValidationError

from traiNNer.archs.spandrel import (  # noqa: F401 - held by this test, imported where they are asked for
    atd,
    compact,
    craft,
    dat,
    dctlsa,
    ditn,
    drct,
    esrgan,
    fdat,
    grl,
    hat,
    moesr,
    mosr,
    nafnet,
    omnisr,
    plksr,
    rcan,
    realcugan,
    realplksr,
    rgt,
    safmn,
    scunet,
    seemore,
    span,
    swin2sr,
    swinir,
)
from traiNNer.archs.spandrel.detect import detect
from traiNNer.registry import ARCHS
from traiNNer.utils.meta import parameter_count, shapes_only

pytestmark = [
    pytest.mark.filterwarnings("ignore:torch.meshgrid"),
    pytest.mark.filterwarnings("ignore:Initializing zero-element"),
]
PUBLISHED = {
    "atd": "20.3M",
    "compact": "0.62M",
    "craft": "0.753M",
    "dat": "14.8M",
    "dat_2": "11.2M",
    "dat_s": "11.2M",
    "drct": "14.1M",
    "esrgan": "16.7M",
    "grl_b": "20.2M",
    "grl_s": "3.49M",
    "grl_t": "0.91M",
    "hat_l": "40.8M",
    "hat_m": "20.8M",
    "hat_s": "9.6M",
    "nafnet32": "29.2M",
    "nafnet64": "116M",
    "plksr": "7.39M",
    "rcan": "15.6M",
    "realplksr": "7.39M",
    "rgt": "13.4M",
    "rgt_s": "10.2M",
    "safmn": "0.24M",
    "scunet": "17.95M",
    "seemore_t": "0.232M",
    "swinir_m": "11.9M",
    "swin2sr_m": "12.2M",
}
"""Parameters at 4x, of NAFNet and SCUNet at 1x, in the rounding in which they are printed."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_many_as_published(name):
    component, printed = ARCHS[name], PUBLISHED[name]
    with shapes_only():
        network = component.build({}, scale=4 if 4 in component.traits.scales else 1)
    digits = len(printed.removesuffix("M").partition(".")[2])
    assert f"{parameter_count(network) / 1e6:.{digits}f}M" == printed


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rcan", {"rgb_range": 1}, "must stay 255"),
        ("realplksr", {"norm_groups": 8}, "must stay 4"),
        ("plksr", {"with_idt": True}, "must stay False"),
        ("hat_s", {"conv_scale": 0.1}, "must stay 0.01"),
        ("ditn_real", {"patch_size": 4}, "must stay 8"),
        ("dctlsa", {"num_head": 11}, "must stay 5"),
        ("seemore_t", {"topk": 2}, "must stay 1"),
        ("grl_t", {"window_size": 16}, "must stay 32"),
        ("swinir_s", {"img_range": 255.0}, "must stay 1"),
    ],
)
def test_option_that_no_file_records_must_stay(name, options, message):
    with pytest.raises(ValidationError, match=message):
        ARCHS[name].options.parse(options)


@pytest.mark.parametrize(
    ("name", "options", "scale", "message"),
    [
        ("atd", {"category_size": 128}, 2, "category_size must be 256"),
        ("atd_light", {"category_size": 256}, 2, "category_size must be 128"),
        ("atd", {"upsampler": "nearest+conv"}, 2, "for scale 4, not 2"),
        ("swin2sr_l", {}, 2, "for scale 4, not 2"),
        ("nafnet32", {}, 2, "restores at scale 1"),
        ("nafnet32", {"enc_blk_nums": [1]}, 1, "1 sizes, dec_blk_nums has 4"),
        ("scunet", {}, 4, "restores at scale 1"),
        ("realcugan", {"fast": True}, 3, "scale 2 without pro"),
        ("realcugan", {}, 8, "scales 2, 3 and 4"),
    ],
)
def test_impossible_combination_is_refused(name, options, scale, message):
    with pytest.raises(ValueError, match=message):
        ARCHS.build(name, options, scale=scale)


def test_stochastic_depth_is_off_unless_asked_for():
    dropping = [component for component in ARCHS if "drop_path_rate" in component.options.model_fields]
    assert len(dropping) > 30
    assert {component.options.model_fields["drop_path_rate"].default for component in dropping} == {0.0}


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_fdat_samples_as_spandrels_does_and_is_told_by_its_weights(scale, monkeypatch):
    from spandrel.architectures.FDAT import FDAT

    torch.manual_seed(0)
    options = {"embed_dim": 16, "num_groups": 1, "depth_per_group": 1, "num_heads": 2, "upsampler_type": "dysample"}
    network, x = ARCHS.build("fdat", options | {"mid_dim": 8}, scale=scale).eval(), torch.rand(1, 3, 16, 24)
    theirs = FDAT(**options, mid_dim=8, scale=scale).eval()
    theirs.load_state_dict(network.state_dict())
    made = network(x)
    plain = torch.tensor

    def unpinned(*given, pin_memory=False, **options):
        del pin_memory  # needs a GPU
        return plain(*given, **options)

    monkeypatch.setattr(torch, "tensor", unpinned)
    torch.testing.assert_close(theirs(x), made, rtol=0, atol=1e-5)
    found = detect(network.state_dict())
    assert (found["type"], found["upsampler_type"], found["scale"]) == ("fdat", "dysample", scale)
