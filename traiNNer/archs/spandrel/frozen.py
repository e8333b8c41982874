"""Parameters that a class of spandrel has but never trains: taken out of training, kept in the weights file."""

import re

from torch import nn


def freeze(network: nn.Module, pattern: str) -> nn.Module:
    """Give no gradient to the parameters whose name matches `pattern`, and return the network.

    A parameter without a gradient would cost optimizer memory, be moved by weight decay alone, and stop training on
    several devices, where every parameter is waited for.

    Raises:
        LookupError: no parameter matches, so the class is not what it was.
    """
    found = [parameter for name, parameter in network.named_parameters() if re.search(pattern, name)]
    if not found:
        raise LookupError(f"{type(network).__name__} has no parameter like '{pattern}'")
    for parameter in found:
        parameter.requires_grad_(False)
    return network
