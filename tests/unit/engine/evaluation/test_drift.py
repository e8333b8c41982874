import pytest
import torch
import torch.nn.functional as F

from traiNNer.engine.evaluation.drift import DriftWatch, drift

GRAY = torch.full((3, 16, 24), 0.5)


def enlarged(lq, scale=2):
    return F.interpolate(lq.unsqueeze(0), scale_factor=scale)[0]


def test_enlargement_has_not_drifted():
    lq = torch.rand(3, 16, 24)
    found = drift(enlarged(lq), lq, None, 2)
    assert found == pytest.approx({"drift_color": 0, "drift_lowpass": 0}, abs=1e-4)


def test_tint_is_measured_in_gray_levels():
    output = enlarged(GRAY).clone()
    output[1] += 4 / 255
    output[2] -= 1 / 255
    found = drift(output, GRAY, None, 2)
    assert found["drift_color"] == pytest.approx(4, abs=1e-3)
    assert found["drift_lowpass"] == pytest.approx(5 / 3, abs=1e-3)


def test_brightness_that_only_moved_elsewhere_is_a_low_pass_drift():
    output = enlarged(GRAY).clone()
    output[..., :24] += 0.1
    output[..., 24:] -= 0.1
    found = drift(output, GRAY, None, 2)
    assert found["drift_color"] == pytest.approx(0, abs=1e-3)
    # The middle one of three columns of cells lies half and half.
    assert found["drift_lowpass"] == pytest.approx(25.5 * 2 / 3, abs=1e-2)


def test_fine_detail_is_no_drift_but_counts_as_detail():
    fine = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(16, 24) * 0.1
    target, output = enlarged(GRAY) + fine, enlarged(GRAY) + 2 * fine
    found = drift(output, GRAY, target, 2)
    assert found["drift_lowpass"] == pytest.approx(0, abs=1e-3)
    assert found["detail_ratio"] == pytest.approx(4, rel=1e-2)
    assert drift(target, GRAY, target, 2)["detail_ratio"] == 1
    assert drift(enlarged(GRAY), GRAY, target, 2)["detail_ratio"] < 0.01


def test_flat_images_have_equal_detail_and_out_of_range_is_cut_off():
    assert drift(enlarged(GRAY), GRAY, enlarged(GRAY), 2)["detail_ratio"] == 1
    white = torch.ones(3, 16, 24)
    assert drift(enlarged(white) + 1, white, None, 2)["drift_color"] == 0


@pytest.mark.parametrize("scale", [1, 4])
def test_images_smaller_than_a_cell(scale):
    lq = torch.rand(3, 5, 7)
    found = drift(enlarged(lq, scale), lq, enlarged(lq, scale), scale)
    assert found == pytest.approx({"drift_color": 0, "drift_lowpass": 0, "detail_ratio": 1}, abs=1e-3)


def test_third_validation_in_a_row_beyond_a_limit_warns():
    watch, fine = DriftWatch(), {"psnr": 30.0, "drift_color": 2.9, "drift_lowpass": 4.9, "detail_ratio": 1.4}
    bad = fine | {"drift_color": 3.1}
    for means in (bad, bad, fine, bad, bad):
        assert watch.look("set5", means) == []
    assert watch.look("set14", bad) == []
    (warning,) = watch.look("set5", bad)
    assert warning.startswith("set5: the mean color")
    assert watch.look("set5", bad) == []
