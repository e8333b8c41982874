"""Weights that a run starts from, or that are tested."""

from torch import nn

from traiNNer.config.options import CommonOptions
from traiNNer.engine.checkpoint.weights import load_pretrained
from traiNNer.engine.checkpoint.weights_file import read_weights
from traiNNer.engine.log.logbook import Logbook
from traiNNer.errors import ConfigError
from traiNNer.models.protocol import MAIN
from traiNNer.run.build import describe_networks


def load_given_weights(network: nn.Module, options: CommonOptions, book: Logbook, strict: bool = False) -> None:
    """Load `path.pretrain_network_g`, if it is given, into the main network. Raises `ConfigError` naming the key."""
    path, key = options.path.pretrain_network_g, options.path.param_key_g
    if not path:
        return
    try:
        strict = strict or options.path.strict_load_g
        notes, report = load_pretrained(network, describe_networks(options)[MAIN], read_weights(path, key), strict)
    except ConfigError as error:
        raise ConfigError(f"path.pretrain_network_g: {error}") from None
    book.warn_all(notes)
    book.info(f"{path}: {report}")
