"""What an automation says, in its own file, about its section of an option file: the vocabulary of its rules."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from inspect import isclass
from typing import Any, ClassVar

from traiNNer.config.tree import did_you_mean
from traiNNer.registry import Component


@dataclass(frozen=True)
class OptionFacts:
    """What an automation's rules may know of the rest of the file. None is what is not known for a problem there."""

    is_on: bool
    """Whether the automation is switched on, and the automations are."""
    total_iter: int | None = None
    warmup_iter: int | None = None
    batch_size: int | None = None
    """`datasets.train.batch_size_per_gpu`."""
    is_clipping: bool | None = None
    has_schedule: bool = False
    is_validating: bool | None = None
    val_freq: int | None = None
    scores: tuple[str, ...] | None = None
    """Every score that validation computes: `val/psnr`, `set5/psnr`."""


@dataclass(frozen=True)
class OptionProblem:
    """What refuses the file, about one option of the automation: `patience` or `fallback.threshold`."""

    key: str
    message: str


@dataclass(frozen=True)
class OptionWarning:
    """What will not do what it seems to. With `key` the text continues from that option's full key."""

    text: str
    key: str = ""


class OptionRules:
    """The rules of one automation for its section of a file; by default there are none beyond the signature's."""

    foreign_options: ClassVar[Mapping[str, str]] = {}
    """Options of other implementations that are refused, each with the answer to a file that gives it."""
    foreign_names: ClassVar[Mapping[str, str]] = {}
    """Automations of other implementations that are refused in favor of this one, each with the answer."""
    stray_options: ClassVar[tuple[str, ...]] = ()
    """Own options that files of the community also give in another automation's section, where they are ignored."""

    @classmethod
    def check_options(
        cls,
        options: Any,  # noqa: ARG003 - hooks offer what others need
        facts: OptionFacts,  # noqa: ARG003
    ) -> Iterable[OptionProblem | OptionWarning]:
        """Return what is wrong between the options, and between them and the rest of the file.

        `options` has the attributes of the automation's own options, nested sections included: values with every
        default, None where a problem is reported already; `model_fields_set` names those that the file gives.
        """
        return ()


def rules_of(component: Component) -> type[OptionRules]:
    """Return the rules of an automation; there are none for a builder that is not derived from them."""
    builder = component.builder
    return builder if isclass(builder) and issubclass(builder, OptionRules) else OptionRules


def check_order(options: Any, low: str, high: str) -> Iterator[OptionProblem]:
    """Report two options of which the first must not be larger than the second."""
    least, most = getattr(options, low), getattr(options, high)
    if least is None or most is None or least <= most:
        return
    if high in options.model_fields_set:
        yield OptionProblem(high, f"must be at least {low}, which is {least:g}")
    else:
        yield OptionProblem(low, f"must be at most {high}, which is {most:g}")


def check_score(key: str, metric: str | None, facts: OptionFacts) -> Iterator[OptionProblem]:
    """Report an option that names a score which validation does not compute."""
    if facts.is_validating is False:
        yield OptionProblem("enabled", "needs validation: val.val_enabled is false")
    elif metric is not None and facts.scores is not None and metric not in facts.scores:
        listed = ", ".join(facts.scores) or "none (add val.metrics, with val.metrics_enabled on)"
        hint = did_you_mean(metric, facts.scores)
        yield OptionProblem(key, f"validation does not compute {metric}{hint}   known: {listed}")
