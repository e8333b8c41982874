"""A network as an ONNX file that computes in 8-bit integers, calibrated on images, and what that costs."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from traiNNer.data.files.listing import list_images
from traiNNer.errors import DataError, NotExported
from traiNNer.export.onnx_graph import INPUT
from traiNNer.export.source import Source
from traiNNer.imaging.image_file import ImageError, read_image
from traiNNer.upscaling.onnx import open_onnx
from traiNNer.utils.resize import imresize

SIDE, MOST = 128, 32
"""Side of the crops in LQ pixels, and how many images are used: ranges are known after a few, and each takes memory."""
OPERATIONS = ["Conv", "Gemm", "MatMul"]


class Calibration:
    """Crops of images, as ground truth and shrunk to what the network takes.

    Args:
        folder: of images such as the network will make.
        scale: by which they are shrunk.
        least_side: of the crops, in LQ pixels.

    Raises:
        DataError: the folder holds no image that can be read.
    """

    def __init__(self, folder: Path, scale: int, least_side: int) -> None:
        if not folder.is_dir():
            raise DataError(f"--calibration {folder} is not a folder")
        files = list(list_images(folder).files.values())
        chosen = [files[place * len(files) // min(MOST, len(files))] for place in range(min(MOST, len(files)))]
        self.targets: list[np.ndarray] = []
        for file in chosen:
            try:
                crop = _center(_eight_bits(read_image(file)), SIDE * scale, scale)
            except ImageError:
                continue
            if min(crop.shape[:2]) >= least_side * scale:
                self.targets.append(crop)
        if not self.targets:
            raise DataError(f"--calibration {folder} holds no image that can be used")
        self.inputs = [_tensor(imresize(target, 1 / scale)) for target in self.targets]

    def __len__(self) -> int:
        return len(self.targets)

    def psnr(self, call: Callable[[Tensor], Tensor]) -> float:
        """Return the PSNR in dB of the upscaled inputs against the images, in RGB: the mean over the images."""
        scores = []
        with torch.inference_mode():
            for target, image in zip(self.targets, self.inputs, strict=True):
                levels = call(image).clamp(0, 1).mul(255).round()
                error = float((levels - 255 * _tensor(target)).double().square().mean())
                scores.append(100.0 if error == 0 else 10 * math.log10(255**2 / error))
        return float(np.mean(scores))


class _Reader:
    """What onnxruntime's calibration asks for its images."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        self._rest: Iterator[dict[str, np.ndarray]] = iter([{INPUT: image.numpy()} for image in inputs])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next image by the name of the input; None after the last one."""
        return next(self._rest, None)


def write_int8(source: Source, whole: Path, path: Path, calibration: Calibration) -> str:
    """Quantize an ONNX file of float32, and measure what is lost.

    Args:
        source: the network.
        whole: the float32 file.
        path: of the file to be written.
        calibration: images.

    Returns:
        The loss in dB, and where both stand.

    Raises:
        NotExported: onnxruntime cannot quantize it.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static  # pyright: ignore

    reader: Any = _Reader(calibration.inputs)
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # it asks for a step that changes nothing for convolutions
    try:
        quantize_static(
            str(whole),
            str(path),
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=OPERATIONS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        score = calibration.psnr(open_onnx(path, use_cpu=True))
    except Exception as error:  # it raises whatever comes up at operators that it does not know
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise NotExported(f"{source.arch} cannot be quantized ({reason}).") from None
    finally:
        logging.disable(level)
    reference = calibration.psnr(source.upscaled)
    images = f"{len(calibration)} calibration image{'s' * (len(calibration) != 1)}"
    return f"int8 loses {reference - score:.2f} dB: {score:.2f} dB, float32 {reference:.2f} dB on {images}"


def _eight_bits(image: np.ndarray) -> np.ndarray:
    return image if image.dtype == np.uint8 else np.round(image / 257).astype(np.uint8)


def _center(image: np.ndarray, side: int, scale: int) -> np.ndarray:
    """Return the middle of an image, at most `side` pixels each way, of sides that are multiples of the scale."""
    height, width = (min(side, length // scale * scale) for length in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def _tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).unsqueeze(0).float().div(255).contiguous()
