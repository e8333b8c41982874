"""Networks that others trained and that are only looked through: nothing in them is trained, saved or random."""

from torch import Tensor, nn


def fix(network: nn.Module) -> nn.Module:
    """Turn every parameter and buffer into a buffer that is in no state dict, and take dropout out; returns `network`.

    Buffers follow the device like parameters do, but have no gradient, and no optimizer, EMA or checkpoint sees them.
    """
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Dropout):
                setattr(module, name, nn.Identity())
        for name, value in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, value.detach(), persistent=False)
        for name, value in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, value, persistent=False)
    return network.eval()


def take(state: dict[str, Tensor], name: str, own: Tensor, whose: str) -> Tensor:
    """Return a tensor of a state dict. Raises `ValueError` if it is missing or has another shape than `own`."""
    value = state.get(name)
    if value is None or value.shape != own.shape:
        found = "is missing" if value is None else f"has shape {tuple(value.shape)}, not {tuple(own.shape)}"
        raise ValueError(f"does not fit {whose}: '{name}' {found}")
    return value
