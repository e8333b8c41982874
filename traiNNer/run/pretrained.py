"""Weights that a run starts from, or that are tested."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from traiNNer.config.options import CommonOptions, TrainOptions
from traiNNer.engine.checkpoint.weights import load_pretrained
from traiNNer.engine.checkpoint.weights_file import read_weights
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import ConfigError
from traiNNer.models.protocol import MAIN, Upscaler
from traiNNer.registry import ARCHS
from traiNNer.run.build import build_networks, describe_networks


def load_given_weights(network: nn.Module, options: CommonOptions, book: Logbook, strict: bool = False) -> None:
    """Load `path.pretrain_network_g`, if it is given, into the main network. Raises `ConfigError` naming the key."""
    path = options.path
    _load(network, MAIN, path.pretrain_network_g, path.param_key_g, strict or path.strict_load_g, options, book)


def load_all_given_weights(networks: Mapping[str, nn.Module], options: TrainOptions, book: Logbook) -> None:
    """Load the weights that the networks are to start from, where they are given. Raises `ConfigError`."""
    load_given_weights(networks[MAIN], options, book)
    path = options.path
    for name, network in networks.items():
        if name != MAIN:
            _load(network, name, path.pretrain_network_d, path.param_key_d, path.strict_load_d, options, book)


def _load(
    network: nn.Module,
    name: str,
    path: str | None,
    key: str | None,
    strict: bool,
    options: CommonOptions,
    book: Logbook,
) -> None:
    if not path:
        return
    section = name.replace("net_", "network_")
    try:
        notes, report = load_pretrained(network, describe_networks(options)[name], read_weights(path, key), strict)
    except ConfigError as error:
        text = str(error).replace("network_g.type", f"{section}.type")
        raise ConfigError(f"path.pretrain_{section}: {text}") from None
    book.warn_all(notes)
    book.info(f"{path}: {report}")
    if name == MAIN and (advice := learning_rate_advice(options)):
        book.info(advice)


def learning_rate_advice(options: CommonOptions) -> str:
    """Return a line where a run that starts from trained weights has the learning rate of one that starts from none.

    Empty for other runs, and for archs that name no learning rate.
    """
    recipe = ARCHS[options.network_g.type].traits.recipe
    if recipe is None or not isinstance(options, TrainOptions):
        return ""
    optimizer = options.train.optim_g
    lr, usual = optimizer.get("lr"), recipe.muon_lr if optimizer.type == "muon" else recipe.lr
    if usual is None or not isinstance(lr, float) or lr <= usual / 2:
        return ""
    return (
        f"train.optim_g.lr {lr:g} suits weights that begin at random ({options.network_g.type}: {usual:g}). To keep "
        f"what these weights have learned, begin with {usual / 10:g} to {usual / 2:g}."
    )


def starting_network(options: TrainOptions, runtime: Runtime) -> Upscaler | None:
    """Return the network that a GAN started from, to be looked at beside it; None without one, or without its file."""
    path, key = options.path.pretrain_network_g, options.path.param_key_g
    if options.network_d is None or not path or not Path(path).expanduser().exists():
        return None
    with runtime.rng.saved():
        network = build_networks(options.model_copy(update={"network_d": None}))[MAIN]
    load_pretrained(network, describe_networks(options)[MAIN], read_weights(path, key), options.path.strict_load_g)
    return runtime.upscaler(runtime.place(network).eval())
