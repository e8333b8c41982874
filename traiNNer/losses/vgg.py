"""The convolutional part of VGG19 as a fixed function: no parameters, nothing to train, nothing to save."""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from traiNNer.losses.distances import frames

BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
RANDOM_SEED = 0

LAYERS = tuple(f"relu{block}_{place}" for block, (_, n) in enumerate(BLOCKS, 1) for place in range(1, n + 1))
BEFORE = {name.replace("relu", "conv"): name for name in LAYERS}
"""The output of each convolution, `conv1_1` to `conv5_4`, by the rectifier that follows it."""


class Vgg19Features(nn.Module):
    """Activations of VGG19 (Simonyan and Zisserman, 2015) after chosen rectifiers, or before them.

    Args:
        layers: Names from `LAYERS` or `BEFORE`; nothing after the last of them is computed or kept.
        state: Tensors `features.N.weight` and `features.N.bias` as torchvision names them.

    Raises:
        ValueError: an unknown layer, or a tensor that is missing or of another shape.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: Sequence[str], state: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.wanted = tuple(dict.fromkeys(layers))
        self.names = needed_layers(self.wanted)
        # Buffers follow the device like weights do, but take no gradient; non-persistent ones are in no state dict.
        for name, place, shape in convolutions(self.names):
            for kind, size in (("weight", shape), ("bias", shape[:1])):
                value = _take(state, f"features.{place}.{kind}", size)
                self.register_buffer(f"{name}_{kind}", value, persistent=False)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)
        self.smallest_side = 2 ** (int(self.names[-1][4]) - 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the activations of `layers`, in that order, for B, [T,] 3, H, W RGB images in [0, 1], in float32.

        Raises:
            ValueError: the images are too small for the deepest layer.
        """
        if min(images.shape[-2:]) < self.smallest_side:
            raise ValueError(f"{self.names[-1]} of VGG19 needs images of at least {self.smallest_side} pixels")
        x = (frames(images) - self.mean) / self.std
        found: dict[str, Tensor] = {}
        for name in self.names:
            if name.endswith("_1") and name != LAYERS[0]:
                x = F.max_pool2d(x, 2)
            x = F.conv2d(x, self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias"), padding=1)
            before = name.replace("relu", "conv")
            if before in self.wanted:
                found[before] = x
            x = found[name] = F.relu(x, inplace=before not in self.wanted)
        return [found[name] for name in self.wanted]


def needed_layers(layers: Sequence[str]) -> tuple[str, ...]:
    """Return all rectifiers up to the last wanted layer. Raises `ValueError` for an unknown name or none at all."""
    unknown = [name for name in layers if name not in LAYERS and name not in BEFORE]
    if unknown or not layers:
        problem = f"VGG19 has no layer {', '.join(map(repr, unknown))}" if unknown else "layers is empty"
        raise ValueError(f"{problem}; known: {', '.join((*LAYERS, *BEFORE))}")
    return LAYERS[: max(LAYERS.index(BEFORE.get(name, name)) for name in layers) + 1]


def convolutions(layers: Sequence[str]) -> Iterator[tuple[str, int, tuple[int, int, int, int]]]:
    """Yield each layer's name, the place of its convolution in torchvision's `features`, and the weight's shape."""
    place, channels = 0, 3
    for name in layers:
        if name.endswith("_1") and name != LAYERS[0]:
            place += 1  # the pooling layer between two blocks
        width = BLOCKS[int(name[4]) - 1][0]
        yield name, place, (width, channels, 3, 3)
        place, channels = place + 2, width


def random_state(layers: Sequence[str]) -> dict[str, Tensor]:
    """Return random weights up to the last wanted layer: He's scale, always the same, no global generator touched."""
    generator = torch.Generator().manual_seed(RANDOM_SEED)
    state = {}
    for _, place, shape in convolutions(needed_layers(layers)):
        deviation = math.sqrt(2 / math.prod(shape[1:]))
        state[f"features.{place}.weight"] = torch.randn(shape, generator=generator) * deviation
        state[f"features.{place}.bias"] = torch.zeros(shape[0])
    return state


def _take(state: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    value = state.get(name)
    if value is None:
        raise ValueError(f"no tensor '{name}' (torchvision's vgg19 has it)")
    if tuple(value.shape) != shape:
        raise ValueError(f"'{name}' has shape {tuple(value.shape)}, VGG19 needs {shape}")
    # A copy lets go of the rest of the file: the classifier is six times as large as everything used here.
    return value.detach().to(torch.float32, copy=True)
