"""The contract of a metric, and what metrics do with their images first."""

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import numpy as np

from traiNNer.utils.color import rgb_to_y
from traiNNer.utils.named_call import NamedCall

if TYPE_CHECKING:
    from torch import Tensor

Image = TypeVar("Image", np.ndarray, "Tensor")
Direction = Literal["higher", "lower"]
INPUTS = {"output": "", "target": "", "lq": "", "previous_output": "", "previous_target": ""}
"""What a metric may ask for: H, W, 3 RGB uint8 arrays; `target` is None where there is no ground truth.

`previous_output` and `previous_target` are of the frame before; a metric that needs them is computed from the second
frame of a scene on.
"""


class Metric(Protocol):
    """A score of one image. The framework averages scores over a set.

    A metric that looks through a network keeps it as its attribute `network`: a run moves that to its device. One that
    compares with the ground truth may have a method `on_device(output, target)` besides, which takes H, W, 3 uint8
    tensors: it scores the images of a CUDA device where they are.
    """

    direction: Direction
    """Which scores are better."""
    needs_target: bool
    """Whether the score is a comparison with the ground truth."""

    def __call__(self, *images: Any, **named: Any) -> float:
        """Score one image. Written with the parameters that it asks for, out of `INPUTS`."""
        ...


def named_call(name: str, metric: Metric) -> NamedCall:
    """Return what calls a metric with the images that it asks for. Raises `ValueError` if it asks for another name."""
    return NamedCall(name, metric, INPUTS)


def comparable(output: Image, target: Image | None, border: int) -> tuple[Image, Image]:
    """Return both images without `border` pixels on each side.

    Raises:
        ValueError: there is no target, the sizes differ, or nothing is left inside the border.
    """
    if target is None:
        raise ValueError("this metric compares with a ground truth, and there is none")
    if output.shape != target.shape:
        raise ValueError(f"the output is {size(output)} but the ground truth is {size(target)}")
    if min(output.shape[:2]) <= 2 * border:
        raise ValueError(f"an image of {size(output)} has nothing left inside crop_border {border}")
    inside = (slice(border, output.shape[0] - border), slice(border, output.shape[1] - border))
    return output[inside], target[inside]


def lumas(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the H, W float64 luma of two H, W, 3 RGB images."""
    return rgb_to_y(first), rgb_to_y(second)


def size(image: "np.ndarray | Tensor") -> str:
    """Return `width x height` of an image."""
    return f"{image.shape[1]}x{image.shape[0]}"
