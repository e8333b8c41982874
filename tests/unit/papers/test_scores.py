import cv2
import numpy as np
import pytest
from imagekit import photo
from skimage.metrics import peak_signal_noise_ratio

from traiNNer.errors import ConfigError, DataError
from traiNNer.imaging.image_file import write_image
from traiNNer.papers.images import parse_set, pictures
from traiNNer.papers.scores import build_metrics, score_set
from traiNNer.registry import METRICS
from traiNNer.utils.color import rgb_to_y
from traiNNer.utils.resize import imresize

QUICK = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb")


@pytest.fixture
def images(tmp_path):
    for number in range(2):
        write_image(tmp_path / f"{number}.png", photo(size=(48, 50), top=60 * number))
    return parse_set(f"Mine={tmp_path}")


def quick_metrics(scale=2):
    return {name: METRICS.build(name[:4], {"test_y_channel": name.endswith("y")}, scale=scale) for name in QUICK}


def nearest(image):
    return image.repeat(2, axis=0).repeat(2, axis=1)


def test_scores_are_means_over_the_images(images):
    found = score_set(images, 2, nearest, quick_metrics())
    expected = []
    for picture in pictures(images, 2):
        pair = [image[2:-2, 2:-2] for image in (picture.target, nearest(picture.lq))]
        rgb = peak_signal_noise_ratio(*pair, data_range=255)
        expected.append([rgb, peak_signal_noise_ratio(*map(rgb_to_y, pair), data_range=255)])
    rgb, luma = np.mean(expected, axis=0)
    assert found.network["psnr_rgb"] == pytest.approx(rgb)
    assert found.network["psnr_y"] == pytest.approx(luma)
    assert (found.count, found.gray, found.gray_raw) == (2, 0, None)


def test_bicubic_is_scored_the_same_way_and_as_it_was_published(images):
    found = score_set(images, 2, lambda lq: imresize(lq, 2), quick_metrics())
    assert found.network == found.bicubic
    # Two ways of rounding differ by hundredths of a dB, and no more.
    assert found.as_published[0] == pytest.approx(found.bicubic["psnr_y"], abs=0.2)
    assert found.as_published[0] != found.bicubic["psnr_y"]


def test_gray_images_have_a_second_score(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), photo(size=(48, 50))[:, :, 1])
    found = score_set(parse_set(f"Mine={tmp_path}"), 2, nearest, quick_metrics())
    assert found.gray == 1
    # Luma of equal channels is the level times 219 / 255.
    assert found.network["psnr_y"] - found.gray_raw == pytest.approx(20 * np.log10(255 / 219), abs=0.01)


def test_image_that_no_metric_takes_is_named(images):
    with pytest.raises(DataError, match="Mine: 0: the output is 25x24"):
        score_set(images, 2, lambda lq: lq, quick_metrics())


def test_metric_without_its_weights_is_left_out_and_named(monkeypatch):
    real = METRICS.build

    def build(name, options, **context):
        if name in ("lpips", "dists"):
            raise ConfigError(f"metric {name} needs weights\nmore")
        return real(name, options, **context)

    monkeypatch.setattr(METRICS, "build", build)
    found, missing = build_metrics(2)
    assert tuple(found) == QUICK
    assert missing == [f"{name} is not measured: metric {name} needs weights" for name in ("lpips", "dists")]
