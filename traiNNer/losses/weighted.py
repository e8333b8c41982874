"""The losses of a run, each with its weight and the name it has in the log."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from traiNNer.errors import DataError
from traiNNer.losses.judge import Judge
from traiNNer.registry import fold
from traiNNer.utils.named_call import NamedCall

INPUTS = {
    "output": "",
    "target": "the images have no ground truth",
    "lq": "the images have no LQ",
    "output_ema": "set train.ema_decay above 0",
    "iteration": "",
    "discriminator": "it needs network_d, which the model adversarial trains",
}
"""What a loss may ask for in its `forward`, each with the reason why there may be none."""

IMAGES = ("target", "lq")


class Span(NamedTuple):
    """The iterations, counted from 1, in which a loss is active: those after `start`, up to `stop`."""

    start: int = 0
    stop: float = math.inf

    def covers(self, iteration: int) -> bool:
        """Whether the loss is active in an iteration."""
        return self.start < iteration <= self.stop


ALWAYS = Span()


class WeightedLosses(nn.Module):
    """Several losses of the same output, each called with what its `forward` asks for by name.

    Args:
        items: Type name, loss and weight of each. Two of one type are distinguished as `l1loss` and `l1loss_2`.
        spans: When each is active; by default always.

    Raises:
        ValueError: a loss asks for a name that is not in `INPUTS`.
    """

    def __init__(self, items: Sequence[tuple[str, nn.Module, float]], spans: Sequence[Span] | None = None) -> None:
        super().__init__()
        self.losses = nn.ModuleList(module for _, module, _ in items)
        self.weights = dict(zip(log_names([name for name, _, _ in items]), (w for _, _, w in items), strict=True))
        self.spans = dict(zip(self.weights, spans or [ALWAYS] * len(items), strict=True))
        named = zip(self.weights, self.losses, strict=True)
        self.calls = [NamedCall(name, loss, INPUTS, loss.forward) for name, loss in named]
        self.needs = frozenset(name for call in self.calls for name in call.asked)
        """The names that any of the losses asks for."""

    def forward(
        self,
        output: Tensor,
        target: Tensor | None = None,
        *,
        lq: Tensor | None = None,
        output_ema: Callable[[], Tensor] | None = None,
        iteration: int | None = None,
        discriminator: Judge | None = None,
    ) -> dict[str, Tensor]:
        """Return each active loss, weighted, as a float32 scalar by log name. Images are B, [T,] 3, H, W in [0, 1].

        Args:
            output: what the network made.
            target: the ground truth, of the size of `output`; None if there is none.
            lq: what the output was made from.
            output_ema: computes what the EMA of the weights makes; called only if a loss asks for it, and once.
            iteration: the iteration under way, from 1.
            discriminator: what the discriminator says of images.

        Raises:
            DataError: a loss asks for images that the training set does not give.
            ValueError: output and target differ in size, a loss asks for an average and there is none, or returns
                more than one number; a loss is active for a part of the run and the model does not tell the iteration.
        """
        if target is not None and output.shape != target.shape:
            raise ValueError(f"output is {tuple(output.shape)} but the ground truth is {tuple(target.shape)}")
        active = self._active(iteration)
        asked = {name for call in active.values() for name in call.asked}
        averaged = output_ema() if output_ema and "output_ema" in asked else None
        offered = {"output": output, "target": target, "lq": lq, "output_ema": averaged, "iteration": iteration}
        offered["discriminator"] = discriminator
        inputs = {name: value for name, value in offered.items() if value is not None}
        for call in active.values():
            if lacking := [name for name in IMAGES if name in call.required and name not in inputs]:
                raise DataError(f"datasets.train: {call.title} asks for '{lacking[0]}', and {INPUTS[lacking[0]]}.")
        terms: dict[str, Tensor] = {}
        for name, call in active.items():
            value = call(**inputs)
            if value.numel() != 1:
                raise ValueError(f"{name} must return one number, not a tensor of shape {tuple(value.shape)}")
            terms[name] = self.weights[name] * value.float().reshape(())
        return terms

    def _active(self, iteration: int | None) -> dict[str, NamedCall]:
        named = dict(zip(self.weights, self.calls, strict=True))
        if iteration is None:
            if limited := [name for name, span in self.spans.items() if span != ALWAYS]:
                raise ValueError(f"{limited[0]} has start_iter or stop_iter, and the model does not tell the iteration")
            return named
        return {name: call for name, call in named.items() if self.spans[name].covers(iteration)}


def log_names(types: Sequence[str]) -> list[str]:
    """Return a name for each loss: its type as names are compared, with `_2`, `_3` … from the second of a type on."""
    seen: Counter[str] = Counter()
    names = []
    for kind in map(fold, types):
        seen[kind] += 1
        names.append(kind if seen[kind] == 1 else f"{kind}_{seen[kind]}")
    return names
