"""The optimizers of the package `pytorch-optimizer`, an extra: nothing of it is imported before one is built.

Left out of their options is what an option of the run does for every optimizer: a warm-up (`train.warmup_iter`) and
clipping (`train.grad_clip`).
"""

from collections.abc import Iterable
from importlib import import_module
from typing import Annotated, Any

from pydantic import Field
from torch import nn
from torch.optim import Optimizer

from traiNNer.errors import ConfigError
from traiNNer.optim.optimizers import OptimizerFactory, factory
from traiNNer.registry import OPTIMIZERS
from traiNNer.traits import Requirement

EXTRA = Requirement("pytorch_optimizer", "pip install 'trainner-sr[optimizers]'")

Rate = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
OpenFraction = Annotated[float, Field(gt=0, lt=1)]
PositiveInt = Annotated[int, Field(gt=0)]


def from_package(name: str, **options: Any) -> OptimizerFactory:
    """Return a function from parameters to an optimizer of the package.

    The function raises `ConfigError` where the package is not installed.
    """

    def build(parameters: Iterable[nn.Parameter]) -> Optimizer:
        if not EXTRA.is_met:
            raise ConfigError(f"{name} {EXTRA.reason}")
        return factory(getattr(import_module(EXTRA.package), name), options)(parameters)

    return build


@OPTIMIZERS.register(requires=EXTRA)
def stableadamw(
    lr: Rate = 1e-3,
    betas: tuple[Fraction, Fraction] = (0.9, 0.99),
    weight_decay: NonNegative = 0.01,
    weight_decouple: bool = True,
    kahan_sum: bool = True,
    eps: Positive = 1e-8,
) -> OptimizerFactory:
    """AdamW whose step of each tensor is limited where its gradient is larger than the second moment expects.

    Wortsman et al., "Stable and low-precision training for large-scale vision-language models", 2023.

    Args:
        lr: Base learning rate; schedule and warm-up are factors of it.
        betas: Decay of the running means of the gradient and of its square.
        weight_decay: Weight decay coefficient.
        weight_decouple: Apply weight decay to the weights instead of the gradient.
        kahan_sum: Keep what half-precision weights lose to rounding; weights in float32 lose nothing.
        eps: Keeps a division by a vanishing gradient finite.
    """
    rest = {"weight_decay": weight_decay, "weight_decouple": weight_decouple, "kahan_sum": kahan_sum, "eps": eps}
    return from_package("StableAdamW", lr=lr, betas=betas, **rest)


@OPTIMIZERS.register(requires=EXTRA)
def soap(
    lr: Rate = 3e-3,
    betas: tuple[Fraction, Fraction] = (0.95, 0.95),
    shampoo_beta: Fraction | None = None,
    weight_decay: NonNegative = 0.01,
    precondition_frequency: PositiveInt = 10,
    max_precondition_dim: PositiveInt = 10_000,
    merge_dims: bool = False,
    precondition_1d: bool = False,
    correct_bias: bool = True,
    normalize_gradient: bool = False,
    eps: Positive = 1e-8,
) -> OptimizerFactory:
    """Adam in the eigenbasis of Shampoo's preconditioner. The first step only starts the preconditioner.

    Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", 2024.

    Args:
        lr: Base learning rate; schedule and warm-up are factors of it.
        betas: Decay of the running means of the gradient and of its square.
        shampoo_beta: Decay of the preconditioner; by default the second of `betas`.
        weight_decay: Weight decay coefficient, decoupled as in AdamW.
        precondition_frequency: Steps between two new eigenbases.
        max_precondition_dim: Sides of a weight beyond which they are not preconditioned.
        merge_dims: Merge the sides of a weight while they stay below `max_precondition_dim`.
        precondition_1d: Precondition biases and gains too.
        correct_bias: Correct the running means for their start at zero.
        normalize_gradient: Give the update of every weight a root mean square of one.
        eps: Keeps a division by a vanishing gradient finite.
    """
    return from_package(
        "SOAP",
        lr=lr,
        betas=betas,
        shampoo_beta=shampoo_beta,
        weight_decay=weight_decay,
        precondition_frequency=precondition_frequency,
        max_precondition_dim=max_precondition_dim,
        merge_dims=merge_dims,
        precondition_1d=precondition_1d,
        correct_bias=correct_bias,
        normalize_gradient=normalize_gradient,
        eps=eps,
    )


@OPTIMIZERS.register(requires=EXTRA)
def adopt(
    lr: Rate = 1e-3,
    betas: tuple[Fraction, Fraction] = (0.9, 0.9999),
    weight_decay: NonNegative = 0.0,
    weight_decouple: bool = False,
    fixed_decay: bool = False,
    eps: Positive = 1e-6,
) -> OptimizerFactory:
    """Adam that converges with any second beta: the gradient is divided before it enters the momentum.

    The first step only starts the second moment. Taniguchi et al., "ADOPT: Modified Adam Can Converge with Any β2 with
    the Optimal Rate", 2024.

    Args:
        lr: Base learning rate; schedule and warm-up are factors of it.
        betas: Decay of the running means of the gradient and of its square.
        weight_decay: Weight decay coefficient.
        weight_decouple: Apply weight decay to the weights instead of the gradient, as AdamW does.
        fixed_decay: Do not scale decoupled weight decay by the learning rate.
        eps: Keeps a division by a vanishing gradient finite.
    """
    rest = {"weight_decay": weight_decay, "weight_decouple": weight_decouple, "fixed_decay": fixed_decay, "eps": eps}
    return from_package("ADOPT", lr=lr, betas=betas, **rest)


@OPTIMIZERS.register(requires=EXTRA)
def adan(
    lr: Rate = 1e-3,
    betas: tuple[Fraction, Fraction, Fraction] = (0.98, 0.92, 0.99),
    weight_decay: NonNegative = 0.0,
    weight_decouple: bool = False,
    eps: Positive = 1e-8,
) -> OptimizerFactory:
    """Adam with Nesterov momentum of the change of the gradient.

    Xie et al., "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models", 2022.

    Args:
        lr: Base learning rate; schedule and warm-up are factors of it.
        betas: Decay of the running means of the gradient, of its change, and of their squares.
        weight_decay: Weight decay coefficient.
        weight_decouple: Apply weight decay before the update instead of dividing by it afterwards.
        eps: Keeps a division by a vanishing gradient finite.
    """
    rest = {"weight_decay": weight_decay, "weight_decouple": weight_decouple, "eps": eps}
    return from_package("Adan", lr=lr, betas=betas, **rest)


@OPTIMIZERS.register(requires=EXTRA, averages=True)
def schedulefreeadamw(
    lr: Rate = 2.5e-3,
    betas: tuple[OpenFraction, Fraction] = (0.9, 0.999),
    weight_decay: NonNegative = 0.0,
    r: NonNegative = 0.0,
    weight_lr_power: NonNegative = 2.0,
    ams_bound: bool = False,
    eps: Positive = 1e-8,
) -> OptimizerFactory:
    """AdamW that averages its weights instead of lowering the learning rate.

    The average is what is validated, shipped and saved as `net_g_ema`, in place of the EMA. Give it a warm-up and no
    schedule. Defazio et al., "The Road Less Scheduled", 2024.

    Args:
        lr: Base learning rate; warm-up is a factor of it.
        betas: Share of the average in the weights that gradients are taken at, and decay of the squared gradient.
        weight_decay: Weight decay coefficient.
        r: Power of the iteration in a step's share of the average: 0 counts all alike, more counts later ones more.
        weight_lr_power: Power of the highest learning rate so far in a step's share of the average.
        ams_bound: Never let the running mean of the squared gradient shrink.
        eps: Keeps a division by a vanishing gradient finite.
    """
    shares = {"r": r, "weight_lr_power": weight_lr_power, "ams_bound": ams_bound}
    return from_package("ScheduleFreeAdamW", lr=lr, betas=betas, weight_decay=weight_decay, eps=eps, **shares)
