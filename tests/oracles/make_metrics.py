"""Make metrics.json beside this file: PSNR and SSIM of two small images, restated window by window.

Origin of the numbers: the formulas of the papers in float64, written as plain loops without anything of traiNNer,
compared below with scikit-image. The images were made once by `make_images` and are kept as PNG files.
Run by hand: python tests/oracles/make_metrics.py
"""

import json
import math
from pathlib import Path

import numpy as np
import skimage
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

HERE = Path(__file__).parent


def make_images():
    y, x = np.mgrid[0:37, 0:46]
    smooth = np.stack([5 * x + 7, 6 * y + 3, (x * x + y * y) // 13], axis=2)
    texture = np.stack([(x * y * k) % 61 for k in (3, 5, 7)], axis=2)
    first = np.clip(smooth * 4 // 5 + texture, 0, 255).astype(np.uint8)
    second = np.clip((first.astype(int) * 9) // 10 + (x * 7 + y * 11)[..., None] % 23, 0, 255).astype(np.uint8)
    return first, second


def psnr(a, b):
    total = sum((float(p) - float(q)) ** 2 for p, q in zip(a.ravel(), b.ravel(), strict=True))
    return 10 * math.log10(255**2 / (total / a.size))


def ssim_plane(a, b):
    bell = [math.exp(-((k - 5) ** 2) / (2 * 1.5**2)) for k in range(11)]
    window = np.array([[p * q for q in bell] for p in bell])
    window /= window.sum()
    values = []
    for i in range(a.shape[0] - 10):
        for j in range(a.shape[1] - 10):
            p, q = a[i : i + 11, j : j + 11].astype(float), b[i : i + 11, j : j + 11].astype(float)
            mean_p, mean_q = (window * p).sum(), (window * q).sum()
            var_p, var_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
            cov = (window * (p - mean_p) * (q - mean_q)).sum()
            c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
            numerator = (2 * mean_p * mean_q + c1) * (2 * cov + c2)
            values.append(numerator / ((mean_p**2 + mean_q**2 + c1) * (var_p + var_q + c2)))
    return float(np.mean(values))


def luma(image):
    r, g, b = (image[..., k].astype(float) for k in range(3))
    return 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255


def main():
    first, second = make_images()
    Image.fromarray(first).save(HERE / "metrics_output.png")
    Image.fromarray(second).save(HERE / "metrics_target.png")
    cases = []
    for border in (0, 2):
        inside = (slice(border, first.shape[0] - border), slice(border, first.shape[1] - border))
        a, b = first[inside], second[inside]
        settings = {"channel_axis": 2, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        rgb = {"psnr": psnr(a, b), "ssim": float(np.mean([ssim_plane(a[..., k], b[..., k]) for k in range(3)]))}
        assert abs(rgb["psnr"] - peak_signal_noise_ratio(a, b, data_range=255)) < 1e-9
        assert abs(rgb["ssim"] - structural_similarity(a, b, data_range=255, **settings)) < 1e-9
        y = {"psnr": psnr(luma(a), luma(b)), "ssim": ssim_plane(luma(a), luma(b))}
        ya, yb = rgb2ycbcr(a)[..., :1], rgb2ycbcr(b)[..., :1]
        assert abs(y["psnr"] - peak_signal_noise_ratio(ya, yb, data_range=255)) < 1e-9
        assert abs(y["ssim"] - structural_similarity(ya, yb, data_range=255, **settings)) < 1e-9
        cases += [{"crop_border": border, "test_y_channel": False, **rgb}]
        cases += [{"crop_border": border, "test_y_channel": True, **y}]
    origin = f"make_metrics.py: float64 restatement, within 1e-9 of scikit-image {skimage.__version__}"
    (HERE / "metrics.json").write_text(json.dumps({"origin": origin, "cases": cases}, indent=2) + "\n")


if __name__ == "__main__":
    main()
