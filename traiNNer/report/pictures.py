"""The example crops of a run as parts of a page: a slider from bicubic upscaling to the output, and error maps."""

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from traiNNer.imaging.image_file import ImageError, read_image
from traiNNer.report.record import Record
from traiNNer.report.table import text_of
from traiNNer.report.verdict import shown

MOST_BYTES = 6_000_000
"""Of example images in one page: a run of many sets shows those of the first ones."""
BRIGHTEST = 0.25
"""Error that is shown as the brightest color, as a share of the whole range."""


def examples(record: Record) -> Iterator[str]:
    """Yield a figure for every example crop of the last validation whose files are there."""
    spent = 0
    for example in record.last("examples").get("images") or []:
        try:
            files = {part: record.folder / example["files"][part] for part in ("bicubic", "output", "gt")}
            spent += sum(file.stat().st_size for file in files.values())
            if spent > MOST_BYTES:
                return
            yield _figure(example, {part: read_image(file)[..., :3] for part, file in files.items()}, files)
        except (OSError, ImageError, KeyError):  # moved or deleted since
            continue


def _figure(example: Mapping[str, Any], images: Mapping[str, np.ndarray], files: Mapping[str, Path]) -> str:
    metric, score, bicubic = example["metric"], example.get("score"), example.get("bicubic")
    against = f", bicubic {shown(bicubic)}" if isinstance(bicubic, int | float) else ""
    score_text = shown(score) if isinstance(score, int | float) else "no number"
    caption = f"{example['rank']} of {example['set']} by {metric}: {example['key']} ({score_text}{against})"
    gt = images["gt"]
    maps = [
        (_uri(error_map(images["bicubic"], gt)), "error of bicubic"),
        (_uri(error_map(images["output"], gt)), "error of the output"),
        (_uri(files["gt"].read_bytes()), "ground truth"),
    ]
    shown_maps = "".join(f'<div><img src="{uri}" alt="{text}"><small>{text}</small></div>' for uri, text in maps)
    return (
        f'<figure><div class="pair"><img src="{_uri(files["output"].read_bytes())}" alt="output">'
        f'<img class="before" src="{_uri(files["bicubic"].read_bytes())}" alt="bicubic upscaling">'
        "<span>bicubic</span><span>output</span></div>"
        '<input type="range" min="0" max="100" value="50" aria-label="from bicubic to the output">'
        f'<figcaption>{text_of(caption)}</figcaption><div class="maps">{shown_maps}</div></figure>'
    )


def error_map(image: np.ndarray, target: np.ndarray) -> bytes:
    """Return the largest error of the three channels as a PNG in colors: black is none, yellow `BRIGHTEST` and more."""
    error = np.abs(image.astype(np.float32) - target.astype(np.float32)).max(axis=2) / (255 * BRIGHTEST)
    colored = cv2.applyColorMap((error.clip(0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return cv2.imencode(".png", colored)[1].tobytes()


def _uri(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
