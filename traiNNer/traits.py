"""What a component declares about itself when it registers: one frozen table per kind, so that nobody guesses.

Whatever a component does not declare has the default below. A misspelled or impossible declaration raises where the
component is registered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:  # reading what is declared needs no torch
    from torch import Tensor, nn

Precision = Literal["fp32", "bf16", "fp16"]
Layout = Literal["nchw", "nhwc"]
InferOptions = Callable[[Mapping[str, "Tensor"]], dict[str, Any] | None]
AdaptState = Callable[[Mapping[str, "Tensor"]], tuple[dict[str, "Tensor"], list[str]]]
Release = Callable[["nn.Module"], "nn.Module"]


@dataclass(frozen=True)
class Traits:
    """What a component of any kind declares: nothing."""


@dataclass(frozen=True)
class DegradationTraits(Traits):
    """What a degradation can do.

    Args:
        resizes: It changes the size of images.
        batched: It makes all images of a batch at once, on any device; what calls a library for one image does not.
    """

    resizes: bool = False
    batched: bool = True


@dataclass(frozen=True)
class Recipe:
    """The settings that an arch was published with: learning rate of Adam, side of the LQ crops, images per step.

    `muon_lr` is a learning rate of Muon that was measured for it, which runs within a time budget are trained with.
    """

    lr: float
    lq_size: int
    batch_size: int
    muon_lr: float | None = None


@dataclass(frozen=True)
class ArchTraits(Traits):
    """What a network can do.

    Args:
        scales: Upscaling factors that the arch is meant for; empty for any.
        size_multiple: Both sides of the input must be multiples of this. Whole images are padded, crops must fit.
        least_size: Both sides of the input must be at least this many pixels. Likewise.
        precisions: Number formats in which a forward pass works; `fp32` is always one of them.
        layouts: Memory layouts that give the same result; `nchw` is always one of them.
        release: Makes the form of a trained network that is exported: an inference-only network of the same function.
            None: the network as it is.
        infer_options: Reads `{"type": ..., option: value, ..., "scale": int or None}` from a bare state dict, as found
            in a file (before `adapt_state`); None when the tensors are of another family.
        adapt_state: Renames tensors of older generations; returns the new state and one note per change.
        recipe: Settings of its published training, which zero-config starts from.
        discriminates: It judges images (`network_d`) instead of upscaling them.
        family: The arch that this one is a variant of, with other defaults; empty for one that is not.
        license: SPDX identifier of the license of the network's code; empty where it is not said.
        frames_option: Name of the option that says how many frames a clip has, of a network that makes the middle frame
            of B, T, 3, H, W clips; empty for one of images.
        opens_as: Identifier under which spandrel recognizes a weights file of this arch; empty where it does not.

    Raises:
        ValueError: a size below 1, or a precision or layout that does not exist or must not be missing.
    """

    scales: tuple[int, ...] = ()
    size_multiple: int = 1
    least_size: int = 1
    precisions: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
    layouts: tuple[Layout, ...] = ("nchw", "nhwc")
    release: Release | None = None
    infer_options: InferOptions | None = None
    adapt_state: AdaptState | None = None
    recipe: Recipe | None = None
    discriminates: bool = False
    family: str = ""
    license: str = ""
    frames_option: str = ""
    opens_as: str = ""

    def __post_init__(self) -> None:
        for name in ("size_multiple", "least_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        _require_known("precisions", self.precisions, get_args(Precision))
        _require_known("layouts", self.layouts, get_args(Layout))

    def frames(self, options: Mapping[str, Any]) -> int:
        """Return how many frames a clip has for a network of these options; 1 for one of images."""
        return int(options[self.frames_option]) if self.frames_option else 1

    def fitting(self, side: int) -> int:
        """Return the smallest side of an input, in pixels, that the network takes and that is at least `side`."""
        return -(-max(side, self.least_size) // self.size_multiple) * self.size_multiple

    def nearest(self, side: int) -> tuple[int, ...]:
        """Return the sides in pixels that the network takes: `side` itself, else the next smaller and larger one."""
        above = self.fitting(side)
        below = side // self.size_multiple * self.size_multiple
        return (below, above) if self.fitting(1) <= below < above else (above,)


def _require_known(name: str, declared: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Raise `ValueError` unless all are known and the first of the known ones, which is fallen back to, is declared."""
    if strange := [value for value in declared if value not in known]:
        raise ValueError(f"{name}: no such value {strange[0]!r}   known: {', '.join(known)}")
    if known[0] not in declared:
        raise ValueError(f"{name} must contain {known[0]!r}, which is used where nothing else can be")


@dataclass(frozen=True)
class LossTraits(Traits):
    """What a loss can do.

    Args:
        pixel: It compares pixel by pixel, so bicubic upscaling can be measured by it and other losses against it.
        separable: Its value for a batch is the mean of its values for the single images, so a batch may be computed in
            parts. A loss that does not say so is never given a part of a batch.
        adversarial: It asks for the discriminator, so it needs `network_d`.
    """

    pixel: bool = False
    separable: bool = False
    adversarial: bool = False


@dataclass(frozen=True)
class Requirement:
    """A package that is no dependency of traiNNer: its name in Python, and the command that installs it."""

    package: str
    install: str

    @property
    def is_met(self) -> bool:
        """Whether the package is installed. Imports nothing."""
        return find_spec(self.package) is not None

    @property
    def reason(self) -> str:
        """Why something cannot be used without it, to follow its name."""
        title = self.package.replace("_", "-")
        return f"needs the package {title}, which is not installed; install it with: {self.install}"


@dataclass(frozen=True)
class OptimizerTraits(Traits):
    """What an optimizer declares.

    Args:
        refused: Why one of torch's cannot be used; None for one that can.
        requires: The package that it comes from; None for one that is always there.
        averages: It averages the weights itself, into what is to be validated and shipped, and needs no schedule.
    """

    refused: str | None = None
    requires: Requirement | None = None
    averages: bool = False


@dataclass(frozen=True)
class ModelTraits(Traits):
    """What a model does.

    Args:
        learners: Names of the learners that it trains: `net_g`, or `net_g` and `net_d`.
        separable: Its losses over a batch are the means of those over parts of it, as for `LossTraits`.
    """

    learners: tuple[str, ...] = ()
    separable: bool = False
