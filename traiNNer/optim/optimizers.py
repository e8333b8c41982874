"""The optimizers of `torch.optim` by name, with checked arguments, in their fastest form for the device.

`OPTIMIZERS.build(name, options)` returns a function from parameters to a plain torch optimizer; `build_optimizer` does
both steps. Which arguments exist is read from the signatures of the torch that is installed. Switches that change how
an update is computed but not its result (`fused`, `foreach`, `capturable`, `differentiable`) are not options: they are
chosen here. Nor is `maximize`: a loss is minimized.
"""

import functools
import operator
import types
from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter, isclass, signature
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import torch
from pydantic import ConfigDict, Field, create_model, model_validator
from torch import Tensor, nn
from torch.optim import Optimizer

from traiNNer.optim.names import REFUSED, REPLACED
from traiNNer.registry import OPTIMIZERS, StrictOptions

SWITCHES = frozenset({"params", "fused", "foreach", "capturable", "differentiable", "maximize"})
FUSED_DEVICES = frozenset({"cpu", "cuda"})
FUSED_ONLY_ON_CPU = frozenset({"Adagrad"})  # until after torch 2.7
MEANINGS = {
    "lr": "Base learning rate; schedule and warm-up are factors of it.",
    "betas": "Decay of the running means of the gradient and of its square.",
    "eps": "Keeps a division by a vanishing gradient finite.",
    "weight_decay": "Weight decay coefficient.",
    "momentum": "Share of the previous update that is kept.",
    "dampening": "Share of the gradient that does not enter the momentum.",
    "nesterov": "Look ahead along the momentum.",
    "amsgrad": "Never let the running mean of the squared gradient shrink.",
    "decoupled_weight_decay": "Apply weight decay to the weights instead of the gradient, as AdamW does.",
    "momentum_decay": "How fast the momentum grows to its full value.",
    "rho": "Decay of the running mean of the squared gradient.",
    "alpha": "Decay of the running mean (RMSprop), or power of the rate's decay (ASGD).",
    "centered": "Divide by the variance of the gradient instead of its mean square.",
    "beta2_decay": "Exponent with which the second moment's decay approaches one.",
    "d": "Largest root mean square of an update.",
    "lr_decay": "Decay of the learning rate per iteration.",
    "initial_accumulator_value": "Sum of squared gradients to start from.",
    "lambd": "Decay term of the rate.",
    "t0": "Iteration from which weights are averaged.",
    "etas": "Factors by which a step shrinks and grows when the gradient's sign changes or stays.",
    "step_sizes": "Smallest and largest step.",
}

OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]


class TorchOptions(StrictOptions):
    """Base of the options read from torch's signatures."""

    # There is no source text to search for docstrings, and searching takes a third of a second.
    model_config = ConfigDict(use_attribute_docstrings=False)


def build_optimizer(
    name: str, options: Mapping[str, Any] | StrictOptions, parameters: Iterable[nn.Parameter]
) -> Optimizer:
    """Build an optimizer for parameters that are on their device already; frozen ones are left out.

    Raises:
        UnknownComponent: no optimizer has that name.
        pydantic.ValidationError: an unknown option or a value that the optimizer does not accept.
    """
    return OPTIMIZERS.build(name, options)(parameters)


def factory(optimizer: Callable[..., Optimizer], options: Mapping[str, Any]) -> OptimizerFactory:
    """Return a function from parameters to the optimizer in its fastest form; frozen parameters are left out."""

    def build(parameters: Iterable[nn.Parameter]) -> Optimizer:
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        built = optimizer(trained, **options, **_fastest(optimizer, options, trained))
        for group in built.param_groups:
            group["initial_lr"] = group["lr"]
        if built.defaults.get("fused") and built.defaults.get("momentum"):
            _start_momentum_at_zero(built)
        return built

    return build


def _fastest(
    optimizer: Callable[..., Optimizer], options: Mapping[str, Any], parameters: list[nn.Parameter]
) -> dict[str, bool]:
    """Return the switches of the fastest implementation that the parameters' devices have."""
    known = signature(optimizer).parameters
    devices = {parameter.device.type for parameter in parameters}
    if not devices <= FUSED_DEVICES:
        return {}
    # Damped momentum cannot start at zero (below), so it takes the implementation that never skips by itself.
    is_damped = bool(options.get("momentum") and options.get("dampening"))
    is_cpu_only = getattr(optimizer, "__name__", "") in FUSED_ONLY_ON_CPU
    if "fused" in known and not is_damped and (devices == {"cpu"} or not is_cpu_only):
        return {"fused": True}
    return {"foreach": True} if "foreach" in known else {}


def _start_momentum_at_zero(optimizer: Optimizer) -> None:
    """Give SGD its momentum before the first step, where torch would leave it unset if that step is skipped.

    A fused step that finds `found_inf` set computes nothing, but SGD then keeps uninitialized memory as momentum.
    Without dampening, starting from zero gives the same first step as torch's own start from the gradient.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def _schema(optimizer: type[Optimizer]) -> type[StrictOptions]:
    """Derive the options of a torch optimizer from its signature; values are tried on the optimizer itself."""
    hints = get_type_hints(optimizer.__init__)
    fields: dict[str, Any] = {}
    for parameter in signature(optimizer).parameters.values():
        if parameter.name not in SWITCHES:
            default = ... if parameter.default is Parameter.empty else parameter.default
            fields[parameter.name] = (_without_tensors(hints[parameter.name]), default)
    # Schedules express absolute rates as multiples of the base rate.
    fields["lr"] = (Annotated[float, Field(gt=0)], float(fields["lr"][1]))

    # Taking up a parameter imports the compiler, which takes seconds; the options are checked before.
    probe = type(optimizer.__name__, (optimizer,), {"add_param_group": lambda *_: None})

    def try_out(options: StrictOptions) -> StrictOptions:
        probe([nn.Parameter(torch.zeros(1))], **dict(options))
        return options

    texts = [f"    {name}: {MEANINGS.get(name, 'See the documentation of torch.')}" for name in fields]
    summary = "\n".join([f"`torch.optim.{optimizer.__name__}`, with its arguments.", "", "Args:", *texts])
    validators: Any = {"try_out": model_validator(mode="after")(try_out)}
    return create_model(optimizer.__name__, __base__=TorchOptions, __doc__=summary, __validators__=validators, **fields)


def _without_tensors(annotation: Any) -> Any:
    """Return a type without its tensor alternatives: `float | Tensor` is `float`, also inside tuples."""
    kept = tuple(_without_tensors(argument) for argument in get_args(annotation) if argument is not Tensor)
    if get_origin(annotation) in (Union, types.UnionType):
        return functools.reduce(operator.or_, kept)
    return types.GenericAlias(tuple, kept) if get_origin(annotation) is tuple else annotation


def _refusal(name: str, reason: str) -> type[StrictOptions]:
    def refuse(_: Any) -> Any:
        raise ValueError(f"{name} {reason}")

    validators: Any = {"refuse": model_validator(mode="before")(refuse)}
    return create_model(name, __base__=TorchOptions, __doc__=f"Not available: it {reason}.", __validators__=validators)


def _register(optimizer: type[Optimizer]) -> None:
    name = optimizer.__name__

    def builder(**options: Any) -> OptimizerFactory:
        return factory(optimizer, options)

    reason = REFUSED.get(name)
    schema = _refusal(name, reason) if reason else _schema(optimizer)
    builder.__doc__ = schema.__doc__
    OPTIMIZERS.register(builder, name=name.lower(), options=schema, refused=reason)


for _found in vars(torch.optim).values():
    if (
        isclass(_found)
        and issubclass(_found, Optimizer)
        and _found is not Optimizer
        and _found.__name__ not in REPLACED
    ):
        _register(_found)
