import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from traiNNer.batch import Sample
from traiNNer.engine.evaluation.evaluation import Evaluation, EvaluationStopped, Scores, to_eight_bits, to_image
from traiNNer.engine.evaluation.scorer import describe_score, evaluating
from traiNNer.engine.log.progress import duration
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import DataError
from traiNNer.imaging.image_file import read_image, write_image
from traiNNer.metrics.psnr import PSNR
from traiNNer.metrics.ssim import SSIM
from traiNNer.utils.resize import imresize

RUNTIME = Runtime(torch.device("cpu"), "test")


class Pictures:
    def __init__(self, with_gt: bool = True, count: int = 3, side: int = 40, dtype=np.uint8) -> None:
        rng = np.random.default_rng(0)
        peak = np.iinfo(dtype).max
        smooth = [imresize(rng.uniform(0, peak, (side // 4, side // 4, 3)), 4) for _ in range(count)]
        self.gt = [np.clip(image, 0, peak).astype(dtype) for image in smooth]
        self.lq = [imresize(image, 0.5) for image in self.gt]
        self.with_gt = with_gt

    def __len__(self):
        return len(self.lq)

    def whole(self, index):
        return Sample(self.lq[index], self.gt[index] if self.with_gt else None, f"folder/{index}")


def nearest(lq: torch.Tensor) -> torch.Tensor:
    return lq.repeat_interleave(2, 2).repeat_interleave(2, 3)


def evaluation(data, **options):
    return Evaluation("set", data, {"psnr": PSNR(2), "ssim": SSIM(2)}, 2, RUNTIME, **options)


def test_scores_use_the_rounded_output_and_include_bicubic():
    data = Pictures()
    scores = evaluation(data).run(nearest)
    for index in range(3):
        output = data.lq[index].repeat(2, 0).repeat(2, 1)
        values = scores.images[f"folder/{index}"]
        assert values["psnr"] == PSNR(2)(output, data.gt[index])
        bicubic = imresize(data.lq[index], size=data.gt[index].shape[:2])
        assert values["psnr_bicubic"] == PSNR(2)(bicubic, data.gt[index])
        assert values["ssim_bicubic"] == SSIM(2)(bicubic, data.gt[index])
    mean = scores.mean()
    assert mean["psnr"] == pytest.approx(np.mean([v["psnr"] for v in scores.images.values()]), abs=1e-12)
    assert set(mean) == {"psnr", "ssim", "psnr_bicubic", "ssim_bicubic"}


def test_baseline_is_computed_once_per_set(monkeypatch):
    data = Pictures(count=6)
    one = evaluation(data)
    first = one.run(nearest)
    calls = []
    monkeypatch.setattr(
        "traiNNer.engine.evaluation.evaluation.imresize", lambda *a, **k: calls.append(1) or imresize(*a, **k)
    )
    second = one.run(nearest)
    assert first.images == second.images
    assert not calls
    assert all(np.array_equal(first.strips[key], second.strips[key]) for key in first.strips)
    assert len(second.strips) == 4


def test_images_without_gt_are_saved_and_not_scored(tmp_path):
    data = Pictures(with_gt=False)
    scores = evaluation(data).run(nearest, lambda key, output: write_image(tmp_path / f"{key}.png", output))
    assert scores.images == {f"folder/{i}": {} for i in range(3)}
    assert scores.mean() == {}
    for index in range(3):
        written = read_image(tmp_path / f"folder/{index}.png")
        assert np.array_equal(written, data.lq[index].repeat(2, 0).repeat(2, 1))


def test_tiles_covering_the_receptive_field_are_exact():
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 12, 5, padding=2)

    def upscale(lq):
        return torch.nn.functional.pixel_shuffle(conv(lq), 2) * 0.2 + 0.5

    data = Pictures(side=96)
    whole, tiled = evaluation(data).run(upscale), evaluation(data, tile_size=16, tile_overlap=8).run(upscale)
    assert whole.images == tiled.images


def test_16_bit_images_are_scored_in_8_bit():
    scores = evaluation(Pictures(dtype=np.uint16)).run(nearest)
    assert 15 < scores.mean()["psnr"] < 60


def test_rng_is_unchanged_and_no_gradient_is_kept():
    torch.manual_seed(3)
    np.random.seed(3)
    expected = torch.rand(2), np.random.rand(2)
    torch.manual_seed(3)
    np.random.seed(3)
    layer = torch.nn.Conv2d(3, 3, 1)
    torch.manual_seed(3)

    def noisy(lq):
        np.random.rand()
        output = layer(nearest(lq)) + torch.rand(1)
        assert not output.requires_grad
        return output

    evaluation(Pictures()).run(noisy)
    assert torch.equal(torch.rand(2), expected[0])
    assert np.array_equal(np.random.rand(2), expected[1])


def test_stop_is_checked_between_images():
    seen = []

    def stop_at_the_second():
        if seen:
            raise EvaluationStopped

    with pytest.raises(EvaluationStopped):
        evaluation(Pictures()).run(nearest, lambda key, output: seen.append(key), stop_at_the_second)
    assert seen == ["folder/0"]


def test_every_image_is_read_within_the_context_that_may_leave_it():
    entered, scored = [], []

    @contextmanager
    def reading():
        entered.append(len(scored))
        yield

    evaluation(Pictures()).run(nearest, lambda key, output: scored.append(key), reading=reading)
    assert entered == list(range(len(scored)))
    assert len(scored) > 1


def test_image_rejected_by_a_metric_is_named():
    with pytest.raises(DataError, match=r"set: ssim cannot be computed for folder/0"):
        evaluation(Pictures(side=12)).run(nearest)


def test_output_that_is_not_finite_has_nan_scores():
    def broken(lq):
        output = nearest(lq)
        output[..., 5, 5] = float("nan")
        return output

    scores = evaluation(Pictures()).run(broken)
    values = scores.images["folder/1"]
    assert math.isnan(values["psnr"])
    assert math.isnan(values["ssim"])
    assert math.isfinite(values["psnr_bicubic"])
    assert math.isnan(scores.mean()["psnr"])
    assert "folder/1: the output is not finite, so its scores are NaN." in scores.notices()


def test_perfect_image_counts_as_100_db_in_the_mean():
    data = Pictures()
    data.gt[1] = np.full_like(data.gt[1], 77)
    data.lq[1] = np.full_like(data.lq[1], 77)
    scores = evaluation(data).run(nearest)
    values = [scores.images[f"folder/{index}"]["psnr"] for index in range(3)]
    assert values[1] == math.inf
    assert scores.mean()["psnr"] == pytest.approx((values[0] + 100 + values[2]) / 3)
    assert scores.mean()["psnr_bicubic"] < 100
    assert scores.notices() == [
        "folder/1: psnr is infinite and counts as 100 in the mean.",
        "folder/1: psnr_bicubic is infinite and counts as 100 in the mean.",
    ]


def test_outputs_are_clamped_and_rounded_and_deep_levels_narrowed():
    output = torch.tensor([-1.0, 0.0, 0.499 / 255, 0.501 / 255, 1.0, 2.0]).reshape(1, 1, 6).expand(3, 1, 6)
    assert to_image(output)[0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]
    deep = np.array([0, 128, 129, 65535], np.uint16)
    assert to_eight_bits(deep).tolist() == [0, 0, 1, 255]


def test_strip_shows_lr_bicubic_output_and_gt_of_one_region():
    data = Pictures(side=200)
    image = evaluation(data).run(nearest).strips["folder/0"]
    assert image.shape == (128, 4 * 128 + 3 * 4, 3)
    parts = [image[:, start : start + 128] for start in (0, 132, 264, 396)]
    inside = (slice(36, 164), slice(36, 164))
    assert np.array_equal(parts[0], data.lq[0].repeat(2, 0).repeat(2, 1)[inside])
    assert np.array_equal(parts[1], imresize(data.lq[0], 2)[inside])
    assert np.array_equal(parts[2], parts[0])  # the network of these tests repeats pixels
    assert np.array_equal(parts[3], data.whole(0).gt[inside])


def test_strip_shows_the_network_before_beside_the_present_one():
    data = Pictures(side=40, count=1)
    image = evaluation(data, before=lambda lq: 1 - nearest(lq)).run(nearest).strips["folder/0"]
    side = 40
    assert image.shape == (side, 5 * side + 4 * 4, 3)
    panels = [image[:, place * (side + 4) :][:, :side].astype(int) for place in range(5)]
    assert np.array_equal(panels[2], 255 - panels[3])
    assert np.array_equal(panels[4], data.gt[0])


def test_drift_is_measured_where_it_is_wanted_and_is_no_score():
    data = Pictures()
    found = evaluation(data, measures_drift=True).run(nearest).mean()
    assert set(found) - set(evaluation(data).run(nearest).mean()) == {"drift_color", "drift_lowpass", "detail_ratio"}
    assert found["drift_color"] < 1.5
    without = evaluation(Pictures(with_gt=False), measures_drift=True).run(nearest).mean()
    assert set(without) == {"drift_color", "drift_lowpass"}


class Launching(Runtime):
    """The CPU in the place of a device that computes several small images at once."""

    def at_once(self, pixels):
        return 3


def several(data, **options):
    return Evaluation("set", data, {"psnr": PSNR(2), "ssim": SSIM(2)}, 2, Launching(RUNTIME.device, "test"), **options)


def test_neighbors_of_one_size_are_computed_together_where_that_is_quicker():
    data, sizes = Pictures(count=8), []
    data.lq[4], data.gt[4] = data.lq[4][:16], data.gt[4][:32]

    def upscale(lq):
        sizes.append(len(lq))
        return nearest(lq)

    scores = several(data).run(upscale)
    assert sizes == [3, 1, 1, 3]
    assert scores.images == evaluation(data).run(nearest).images
    assert list(scores.images) == [f"folder/{place}" for place in range(8)]


def test_after_memory_ran_out_images_and_tiles_are_computed_one_by_one():
    data, sizes = Pictures(count=3, side=160), []
    one = several(data)

    def upscale(lq):
        sizes.append(len(lq))
        return nearest(lq)

    one.run(upscale)
    assert one.halve_tiles()
    one.run(upscale)
    assert sizes == [3] + [1] * (len(sizes) - 1)
    assert len(sizes) > 4


def test_shares_of_ranks_give_the_scores_of_one():
    data = Pictures(count=11)
    whole, ranks = evaluation(data).run(nearest), []
    for rank in range(2):
        runtime = Runtime(RUNTIME.device, "test")
        runtime.rank, runtime.world = rank, 2
        places = runtime.share_of(len(data), 4)
        runtime.world = 1
        shares = Evaluation("set", data, {"psnr": PSNR(2), "ssim": SSIM(2)}, 2, runtime).run(nearest, places=places)
        ranks.append(shares)
    assert [len(one.images) for one in ranks] == [7, 4]
    merged = Scores.merged(ranks)
    assert list(merged.images.items()) == list(whole.images.items())
    assert merged.mean() == whole.mean()
    assert list(merged.strips) == list(whole.strips)
    assert all(np.array_equal(merged.strips[key], image) for key, image in whole.strips.items())


def test_user_facing_line():
    assert describe_score("psnr", {"psnr": 31.42, "psnr_bicubic": 30.10}) == "psnr 31.42 (bicubic 30.10, +1.32)"
    assert describe_score("ssim", {"ssim": 0.9}) == "ssim 0.9000"
    assert duration(59.6) == "1:00"
    assert duration(3723) == "1:02:03"


def test_every_module_mode_is_restored():
    network = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.Dropout().eval())
    with evaluating(network):
        assert not network[0].training
    assert [m.training for m in network.modules()] == [True, True, False]


class Looks:
    """A metric whose network has memory for one image where it is first."""

    direction, needs_target = "lower", True

    def __init__(self):
        self.network, self.asked = torch.nn.Linear(1, 1), []
        self.network.cpu = lambda: self.asked.append("moved")

    def __call__(self, output, target):
        self.asked.append("score")
        if self.asked.count("score") == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return float(self.asked.count("score"))


def test_metric_without_memory_on_the_device_is_computed_on_the_cpu_from_then_on():
    metric = Looks()
    one = Evaluation("set", Pictures(), {"looks": metric}, 2, RUNTIME)
    scores = one.run(nearest)
    assert metric.asked == ["score", "score", "moved", *["score"] * 5]
    assert [values["looks"] for values in scores.images.values()] == [1.0, 4.0, 6.0]
    text = "looks: the device has no memory left for it; the CPU computes it."
    assert Scores.merged([scores, Scores()]).notices() == [text]


class Scoring(Runtime):
    """A CPU that scores images as a device does."""

    scores_images = True


def test_images_are_scored_on_the_device_where_that_can():
    metrics = {"psnr": PSNR(2), "ssim": SSIM(2)}
    asked = []
    for metric in metrics.values():
        there = metric.on_device
        metric.on_device = lambda *images, there=there: asked.append(images[0].dtype) or there(*images)
    on_device = Evaluation("set", Pictures(), metrics, 2, Scoring(RUNTIME.device, "test")).run(nearest)
    on_cpu = Evaluation("set", Pictures(), metrics, 2, RUNTIME).run(nearest)
    assert asked == [torch.uint8] * 2 * len(Pictures())
    for key, values in on_cpu.images.items():
        assert on_device.images[key] == pytest.approx(values, abs=1e-6)


def test_score_that_the_device_has_no_memory_for_is_computed_on_the_cpu():
    metric, tries = PSNR(2), []

    def full(*_):
        tries.append(1)
        raise torch.OutOfMemoryError("CUDA out of memory")

    metric.on_device = full
    scores = Evaluation("set", Pictures(), {"psnr": metric}, 2, Scoring(RUNTIME.device, "test")).run(nearest)
    assert len(tries) == 1
    assert scores.on_cpu == {"psnr"}
    assert scores.images == Evaluation("set", Pictures(), {"psnr": PSNR(2)}, 2, RUNTIME).run(nearest).images


def test_metric_without_a_network_that_has_no_memory_ends_the_validation():
    metric = Looks()
    metric.network = None
    with pytest.raises(torch.OutOfMemoryError):
        Evaluation("set", Pictures(), {"looks": metric}, 2, RUNTIME).run(nearest)
