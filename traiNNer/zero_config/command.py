"""`trainner init`: asks or reads what is wanted, reports what it does, writes the option file."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.text import Text

from traiNNer.audit.findings import KINDS
from traiNNer.errors import ConfigError, DataError
from traiNNer.measuring.measured import Trials
from traiNNer.recipes.gan import gan_stages
from traiNNer.recipes.recipe import aligned
from traiNNer.utils.commands import quoted, train_command
from traiNNer.utils.console import PlainConsole
from traiNNer.utils.files import nearest_existing
from traiNNer.utils.printable import printable
from traiNNer.utils.shipped import schema_line
from traiNNer.zero_config.compose import folders_of
from traiNNer.zero_config.create import Made, Request, make, unmeasured
from traiNNer.zero_config.output import require_free, write
from traiNNer.zero_config.plan import duration, price, seconds_of
from traiNNer.zero_config.presets import Preset


def run_init(args: argparse.Namespace, begun: float | None = None) -> None:
    """Run `trainner init`, which began at `begun` as `perf_counter` has it. Raises what `errors.py` lists."""
    if args.source:
        from traiNNer.zero_config.upgrade import run_upgrade

        run_upgrade(args)
        return
    output = args.output or Path("my.yml")
    require_free(output, args.overwrite)
    if not args.gt:
        _ask(args)
        begun = None  # thinking is not on the budget
    request = Request(
        args.arch,
        folders_of(args.gt, args.lq, args.val_gt, args.val_lq, args.meta_info),
        args.preset or "convenience",
        args.scale,
        None if args.budget is None else seconds_of(args.budget),
        None,
        args.find_lr,
        args.fresh,
        begun,
        args.recipe,
    )
    if request.recipe and request.budget_s is not None:
        raise ConfigError(
            "--budget: a file of several stages has no common end by the clock; leave it or --recipe out."
        )
    console = PlainConsole(stderr=True, soft_wrap=True)
    made = _make(request, console)
    for warning in made.warnings:
        console.print(f"Warning: {warning}", style="yellow")
    print(printable("\n".join(report(made))))
    write(output, file_text(made, output))
    print(printable(f"written: {output}\nNext: {train_command(output)}"))


def _make(request: Request, console: PlainConsole) -> Made:
    try:
        with console.status("") as status:

            def say(text: str) -> None:
                status.update(Text(text)) if console.is_terminal else console.print(text)

            return make(request, say)
    except DataError as error:
        if "are swapped" not in str(error) or not _is_terminal():
            raise
        print(printable(error))
        if _answer("Swap them now? [Y/n]", "y").lower() not in ("y", "yes"):
            raise
        return _make(replace(request, folders=request.folders.swapped()), console)


def report(made: Made) -> list[str]:
    """Return what was found and decided, for the screen."""
    measured = made.measured
    lines = [_images_line(made)]
    kinds = Counter(one.kind for one in made.profile.survey.findings if not KINDS[one.kind].stops)
    lines += [f"{count:,} {KINDS[kind].title}. {KINDS[kind].advice}" for kind, count in kinds.items()]
    lines += [f"{one.title}: {one.note}" for one in measured.settings]
    lines += [_rate_line(made, measured.trials)] if measured.trials else []
    lines += unmeasured(made)
    if measured.is_remembered:
        lines.append("The machine was measured before for these images and options; --fresh measures again.")
    return [*lines, plan_line(made)]


def _images_line(made: Made) -> str:
    survey = made.profile.survey
    headers = [survey.headers[pair.files[0]] for pair in survey.pairs]
    sides = sorted((h.width * h.height, h.width, h.height) for h in headers)
    sizes = " to ".join(dict.fromkeys(f"{width}x{height}" for _, width, height in (sides[0], sides[-1])))
    held_out = f"; {made.held_out} are held out for validation" if made.request.folders.is_held_out else ""
    return f"{len(survey.pairs):,} images ({sizes}), scale {made.profile.scale}{held_out}"


def _rate_line(made: Made, trials: Trials) -> str:
    if trials.best is None:
        why = "every trial diverged" if trials.lengths else "too little time, or memory, for trials"
        return f"learning rate: {why}; the preset's value is kept"
    budget = made.request.budget_s
    share = f", {trials.seconds / budget:.0%} of the budget" if budget and not made.measured.is_remembered else ""
    reason = made.draft.reasons["train.optim_g.lr"]
    return f"learning rate {trials.best:g}: {reason}; the trials took {duration(trials.seconds)}{share}"


def plan_line(made: Made) -> str:
    """Return the plan: network, images, pace, iterations and their time, validations and theirs."""
    draft = made.draft
    total, frequency = draft.value("train.total_iter"), draft.value("val.val_freq")
    total = total or (made.plan.total_iter if made.plan else 0)
    what = f"{draft.value('network_g.type')} {draft.value('scale')}x on {made.images:,} photos"
    costs = made.measured.costs
    if costs is None:
        return f"{what}: {total:,} iterations, validation every {frequency:,}"
    seconds, validating = price(total, frequency, costs)
    line = (
        f"{what}: {costs.it_per_s:.1f} it/s, {total:,} iterations in {duration(seconds)}, validation every "
        f"{frequency:,} ({validating:.0%} of the time)"
    )
    if made.request.budget_s:
        return f"{line}; measuring took {duration(made.seconds)} of the {duration(made.request.budget_s)}"
    offer = "" if made.request.wants_rate else "; --find-lr tries learning rates"
    return f"{line}. --budget 30m fits all of it into 30 minutes{offer}"


def file_text(made: Made, output: Path) -> str:
    """Return the content of the option file."""
    head = [
        f"# Made by: {command_of(made.request, output)}",
        "# Every value can be changed; a comment explains it. docs/options.md describes all options.",
        f"# {plan_line(made)}",
        schema_line(output),
        "",
    ]
    return "\n".join(head) + made.draft.yaml() + second_stage(made)


def second_stage(made: Made) -> str:
    """Return the section that follows the draft; nothing without a recipe of several stages."""
    if made.request.recipe != "gan":
        return ""
    rate, steps = made.draft.value("train.optim_g.lr"), made.draft.value("train.total_iter")
    return "\n" + aligned(gan_stages(rate, steps // 2, quiet=True))


def command_of(request: Request, output: Path) -> str:
    """Return the command line that makes the same file."""
    folders = request.folders
    named = {"--gt": folders.gt, "--lq": folders.lq, "--val-gt": folders.val_gt, "--val-lq": folders.val_lq}
    named["--meta-info"] = folders.meta_info
    words = ["trainner init"]
    for flag, value in named.items():
        words += [flag, quoted(value)] if value else []
    words += ["--arch", request.arch] if request.arch else []
    words += ["--preset", request.preset]
    words += ["--recipe", request.recipe] if request.recipe else []
    words += ["--scale", str(request.scale)] if request.scale else []
    words += ["--budget", f"{request.budget_s:g}s"] if request.budget_s else []
    words += ["--find-lr"] if request.wants_rate else []
    return " ".join([*words, "-o", quoted(output)])


# Questions


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _ask(args: argparse.Namespace, ask: Callable[[str, str], str] | None = None) -> None:
    """Ask the four questions: large images, small images, scale, goal."""
    if ask is None and not _is_terminal():
        raise ConfigError("trainner init needs --gt DIR, the folder of the large images (at a terminal it asks).")
    right = partial(_until_right, ask or _answer)
    args.gt = right("Folder of the sharp, large images:", "", _no_folder)
    if not args.gt:
        raise ConfigError("Without images there is nothing to train on.")
    args.lq = (
        args.lq or right("Folder of the small ones (empty: make them from the large ones):", "", _no_folder) or None
    )
    if not args.lq and args.scale is None:
        args.scale = int(right("How many times larger shall the output be? [2]", "2", _no_scale))
    goal = right("How long may it train (30m, 8h; empty: 40,000 iterations; best: 80,000)?", "", _no_goal)
    preset: Preset = "fidelity" if goal.lower() == "best" else "convenience"
    args.preset = args.preset or preset
    args.budget = args.budget or (goal if goal and goal.lower() != "best" else None)


def _until_right(
    ask: Callable[[str, str], str], question: str, otherwise: str, refusal: Callable[[str], str | None]
) -> str:
    """Ask until the answer can be used, saying each time why it cannot."""
    while (answer := ask(question, otherwise)) and (why := refusal(answer)):
        print(printable(why))
    return answer


def _no_folder(answer: str) -> str | None:
    folder = Path(answer).expanduser()
    return None if folder.is_dir() else f"{answer}: no such folder; nearest: {nearest_existing(folder)}"


def _no_scale(answer: str) -> str | None:
    return None if answer in ("1", "2", "3", "4") else f"'{answer}' is not a scale. Use 2, 3 or 4."


def _no_goal(answer: str) -> str | None:
    if answer.lower() != "best":
        try:
            seconds_of(answer)
        except ConfigError as error:
            return str(error).removeprefix("--budget ")
    return None


def _answer(question: str, otherwise: str) -> str:
    try:
        return input(f"{question} ").strip().strip("'\"") or otherwise
    except EOFError:
        return otherwise
