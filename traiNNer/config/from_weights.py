"""A network that the option file leaves out, because the weights that it starts from say what they are."""

from collections.abc import Callable
from typing import Any

from traiNNer.config.tree import Node, Report, node_of
from traiNNer.errors import ConfigError

NetworkOf = Callable[[str, str | None], dict[str, Any]]
"""Reads `type`, options and `scale` (or None) of the network that a weights file holds; the second is `param_key_g`."""
SOURCE = "path.pretrain_network_g"


def complete_network(root: Node, network_of: NetworkOf, report: Report) -> bool:
    """Write the network of `path.pretrain_network_g` into a tree without `network_g`; and its scale, if that lacks too.

    Args:
        root: the option file, completed in place.
        network_of: reads a weights file.
        report: takes the problem of a file that cannot be read, or does not say what it is.

    Returns:
        Whether the tree has what can be known; without a network, every other message could mislead.
    """
    weights, key = root.at(("path", "pretrain_network_g")), root.at(("path", "param_key_g"))
    network = root.child("network_g")
    if weights is None or not isinstance(weights.value, str) or (network is not None and network.value is not None):
        return True
    try:
        found = network_of(weights.value, key.value if key is not None else None)
    except ConfigError as error:
        report.at(weights, f"{error}. Without network_g the weights must say which network they are of")
        return False
    scale = found.pop("scale", None)
    root.value["network_g"] = node_of(found, "network_g", SOURCE)
    if root.child("scale") is None and scale is not None:
        root.value["scale"] = node_of(scale, "scale", SOURCE)
    return True
