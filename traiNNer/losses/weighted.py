"""The losses of a run, each with its weight and the name it has in the log."""

from collections import Counter
from collections.abc import Sequence

from torch import Tensor, nn

from traiNNer.registry import fold


class WeightedLosses(nn.Module):
    """Several losses between the same two images.

    Args:
        items: Type name, loss and weight of each. Two of one type are told apart as `l1loss` and `l1loss_2`.
    """

    def __init__(self, items: Sequence[tuple[str, nn.Module, float]]) -> None:
        super().__init__()
        self.losses = nn.ModuleList(module for _, module, _ in items)
        self.weights = dict(zip(log_names([name for name, _, _ in items]), (w for _, _, w in items), strict=True))

    def forward(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return each weighted loss as a float32 scalar, by log name. The images are B, 3, H, W in [0, 1].

        Raises:
            ValueError: the images differ in size, or a loss is not a scalar.
        """
        if output.shape != target.shape:
            raise ValueError(f"output is {tuple(output.shape)} but the ground truth is {tuple(target.shape)}")
        terms: dict[str, Tensor] = {}
        for (name, weight), loss in zip(self.weights.items(), self.losses, strict=True):
            value = loss(output, target)
            if value.numel() != 1:
                raise ValueError(f"{name} must return one number, not a tensor of shape {tuple(value.shape)}")
            terms[name] = weight * value.float().reshape(())
        return terms


def log_names(types: Sequence[str]) -> list[str]:
    """Return a name for each loss: its type as names are compared, with `_2`, `_3` … from the second of a type on."""
    seen: Counter[str] = Counter()
    names = []
    for kind in map(fold, types):
        seen[kind] += 1
        names.append(kind if seen[kind] == 1 else f"{kind}_{seen[kind]}")
    return names
