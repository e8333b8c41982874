"""Where the weights of VGG19 come from."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from traiNNer.errors import ConfigError
from traiNNer.losses.vgg import Vgg19Features, random_state
from traiNNer.utils.pretrained import cached_weights, read_weights


def vgg19_features(needed_by: str, layers: Sequence[str], pretrained: bool, weights: str | None) -> Vgg19Features:
    """Build VGG19 with the ImageNet weights of torchvision, from its cache or `weights`, or with random ones.

    Raises:
        ConfigError: the weights cannot be had or do not fit; `weights` is given without `pretrained`.
    """
    if not pretrained:
        if weights is not None:
            raise ConfigError(f"{needed_by}: `weights` is given but `pretrained` is false; remove one of them")
        warnings.warn(f"{needed_by}: pretrained is false, so it compares random features of VGG19", stacklevel=3)
        return Vgg19Features(layers, random_state(layers))
    path = _default_weights(needed_by) if weights is None else Path(weights)
    state = _with_prefix(read_weights(path, needed_by))
    try:
        return Vgg19Features(layers, state)
    except ValueError as error:
        raise ConfigError(f"{needed_by}: {path} does not fit: {error}") from error


def _default_weights(needed_by: str) -> Path:
    from torchvision.models import VGG19_Weights

    return cached_weights(VGG19_Weights.IMAGENET1K_V1.url, f"{needed_by} (pretrained: true)")


def _with_prefix(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Accept the tensors of `vgg19().features` alone, whose names lack the prefix."""
    return {f"features.{name}": value for name, value in state.items()} if "0.weight" in state else state
