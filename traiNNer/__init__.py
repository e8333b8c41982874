"""traiNNer trains image upscalers from one option file.

from traiNNer import evaluate, list_archs, train, upscale

result = train("options/2x_compact.yml")
large = upscale(result.weights, image)

from traiNNer import build_network, load_network

network = build_network("paragonsr2_nano", scale=2)
network = load_network("experiments/2x_paragonsr2/models/net_g_best_psnr.safetensors")

from traiNNer import create_zero_config_training

options = create_zero_config_training("paragonsr2_nano", "photos", budget="30m")
"""

from typing import TYPE_CHECKING, Any

from traiNNer.utils.threads import let_threads_sleep

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from traiNNer.api import evaluate, list_archs, train, upscale
    from traiNNer.zero_config.create import create_zero_config_training

let_threads_sleep()  # before anything imports torch

__version__ = "0.1.0"
__all__ = [
    "build_network",
    "create_zero_config_training",
    "evaluate",
    "list_archs",
    "load_network",
    "train",
    "upscale",
]
_HOMES = {
    "create_zero_config_training": "traiNNer.zero_config.create",
    **dict.fromkeys(("evaluate", "list_archs", "train", "upscale"), "traiNNer.api"),
}


def __getattr__(name: str) -> Any:
    """Import what takes long to import when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def build_network(arch: str, scale: int, **options: Any) -> "nn.Module":
    """Build a registered network by name, freshly initialized.

    Args:
        arch: name in any letter case, e.g. `paragonsr2_nano`.
        scale: how many times larger the output is.
        **options: the arch's own options.

    Returns:
        A module from B, 3, H, W float32 RGB in [0, 1] to B, 3, sH, sW, not clamped.

    Raises:
        traiNNer.errors.ConfigError: no such arch, or an option is unknown or has a wrong value; the text names the
            nearest one.
    """
    from traiNNer import api

    return api.build_network(arch, scale, options)


def load_network(path: "str | Path", scale: int | None = None) -> "nn.Module":
    """Rebuild the network of a weights file, in evaluation mode on the CPU.

    Arch and options come from the file's metadata, or from the tensors for published ParagonSR2 files.

    Args:
        path: a .safetensors or .pth file.
        scale: how many times larger the output is, for a file that does not record it; 2 is assumed then.

    Raises:
        traiNNer.errors.ConfigError: the file is missing, damaged, contains code, or is of no known arch.
    """
    from traiNNer.engine.checkpoint.weights import rebuild
    from traiNNer.engine.checkpoint.weights_file import read_weights

    return rebuild(read_weights(path), scale)
