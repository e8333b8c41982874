"""Muon for convolutions: momentum that is made orthogonal, so that no direction of a weight outruns the others.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. The scale of the update is that of Liu
et al., "Muon is Scalable for LLM Training", 2025: it has the root mean square of an AdamW update, so that one learning
rate serves both kinds of parameters. `torch.optim.Muon` takes matrices only.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.adamw import adamw

from traiNNer.optim.optimizers import OptimizerFactory, factory
from traiNNer.registry import OPTIMIZERS

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration: they take every singular value into 0.7 to 1.2 within five steps."""
SCALE = 0.2
"""Root mean square of an AdamW update, which the orthogonal one is given."""

Fraction = Annotated[float, Field(ge=0, lt=1)]


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Return the nearest semi-orthogonal matrices, nearly: singular values lie between 0.7 and 1.2.

    Args:
        matrices: `(n, rows, columns)`.
        steps: Newton-Schulz iterations.
    """
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if is_tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if is_tall else x


class Muon(Optimizer):
    """Orthogonal updates for the weights of convolutions and matrices, AdamW for everything else.

    A weight is seen as a matrix of output channels by all the rest. An update is skipped on the device where
    `found_inf` says so, as torch's fused optimizers do it.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 5e-3,
        momentum: float = 0.95,
        nesterov: bool = True,
        weight_decay: float = 0.0,
        ns_steps: int = 5,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
    ) -> None:
        self.grad_scale: Tensor | None = None
        self.found_inf: Tensor | None = None
        defaults = {"lr": lr, "weight_decay": weight_decay, "fused": True}
        matrix = {"momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps}
        given = list(params)
        kinds = ([p for p in given if is_matrix(p)], [p for p in given if not is_matrix(p)])
        groups = [
            {"params": members, "is_orthogonal": is_orthogonal, **options}
            for members, is_orthogonal, options in zip(
                kinds, (True, False), (matrix, {"betas": tuple(betas), "eps": eps}), strict=True
            )
            if members
        ]
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Do one update with the gradients that there are; a closure is called first."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters and group["is_orthogonal"]:
                self._move_orthogonally(group, parameters)
            elif parameters:
                self._move_by_adamw(group, parameters)
        return loss

    def _move_orthogonally(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """Weights of one shape share their matrix products, which are small."""
        alike: defaultdict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
        for parameter in parameters:
            alike[(parameter.shape[0], parameter[0].numel())].append(parameter)
        for members in alike.values():
            self._move_alike(group, members)

    def _move_alike(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        beta, lr = group["momentum"], group["lr"]
        gradients = torch.stack([_gradient(parameter).flatten(1) for parameter in parameters])
        before = torch.stack([self._buffer(parameter).flatten(1) for parameter in parameters])
        momentum = before.lerp(gradients, 1 - beta)
        wanted = momentum.lerp(gradients, 1 - beta) if group["nesterov"] else momentum
        moves = orthogonalize(wanted, group["ns_steps"]) * (SCALE * max(wanted.shape[-2:]) ** 0.5 * lr)
        decay = lr * group["weight_decay"]
        if self.found_inf is not None:
            is_skipped = self.found_inf.bool()
            momentum = torch.where(is_skipped, before, momentum)
            moves = torch.where(is_skipped, 0.0, moves)
            decay = decay * (1 - self.found_inf)
        for parameter, move, kept in zip(parameters, moves, momentum, strict=True):
            if group["weight_decay"]:
                parameter.mul_(1 - decay)
            parameter.sub_(move.view(parameter.shape))
            self.state[parameter]["momentum_buffer"].copy_(kept.view(parameter.shape))

    def _buffer(self, parameter: nn.Parameter) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return state["momentum_buffer"]

    def _move_by_adamw(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        states = [self._moments(parameter) for parameter in parameters]
        adamw(
            list[Tensor](parameters),
            [_gradient(parameter) for parameter in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            grad_scale=self.grad_scale,
            found_inf=self.found_inf,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )

    def _moments(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        return state


def is_matrix(parameter: Tensor) -> bool:
    """Whether a parameter is seen as a matrix with more than one row and column."""
    return parameter.ndim >= 2 and parameter.shape[0] > 1 and parameter[0].numel() > 1


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


@OPTIMIZERS.register(name="muon")
def muon(
    lr: Annotated[float, Field(gt=0)] = 5e-3,
    momentum: Fraction = 0.95,
    nesterov: bool = True,
    weight_decay: Annotated[float, Field(ge=0)] = 0.0,
    ns_steps: Annotated[int, Field(ge=1, le=20)] = 5,
    betas: tuple[Fraction, Fraction] = (0.9, 0.99),
    eps: Annotated[float, Field(gt=0)] = 1e-8,
) -> OptimizerFactory:
    """Muon for the weights of convolutions, AdamW for biases, gains and scales.

    The momentum of a weight, seen as a matrix of output channels by all the rest, is made orthogonal before it is
    applied, so that the direction that dominates the gradient (in an image network the mean brightness) moves no
    faster than the others.

    Args:
        lr: Base learning rate of both; schedule and warm-up are factors of it.
        momentum: Share of the running mean of the gradient that is kept.
        nesterov: Look ahead along the momentum.
        weight_decay: Weight decay coefficient, decoupled as in AdamW.
        ns_steps: Newton-Schulz iterations of the orthogonalization.
        betas: AdamW's decay of the running means of the gradient and of its square.
        eps: AdamW's guard of the division by a vanishing gradient.
    """
    options = {
        "lr": lr,
        "momentum": momentum,
        "nesterov": nesterov,
        "weight_decay": weight_decay,
        "ns_steps": ns_steps,
        "betas": betas,
        "eps": eps,
    }
    return factory(Muon, options)
