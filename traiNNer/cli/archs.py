"""`trainner archs`: list the networks that can be trained.

Exit codes: 0, 2 there is no such network.
"""

import argparse
from typing import TYPE_CHECKING, Any

from traiNNer.errors import ConfigError
from traiNNer.utils.printable import printable

if TYPE_CHECKING:
    from traiNNer.measuring.networks import NetworkCost
    from traiNNer.registry import Component
    from traiNNer.traits import ArchTraits

COLUMNS = (
    ("network_g.type", 21),
    ("at", 3),
    ("parameters", 10),
    ("multiply-adds", 13),
    ("scales", 13),
    ("sides", 11),
    ("license", 12),
    ("opens as", 9),
)
TIMED = ("step", 8)

EXAMPLE = "trainner archs compact span --time"


def add(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "archs",
        help="list the networks: size, multiply-adds, scales, license",
        description=(
            "List the networks that can be trained, each with its own defaults. Multiply-adds are for an output of "
            "1280 x 720. 'sides' is what both sides of an LQ image must be a multiple of, and at least; whole images "
            "are padded. 'opens as' is the name under which spandrel, and so chaiNNer and ComfyUI, know a saved file."
        ),
        epilog="exit codes: 0, 2 there is no such network",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these, each with its variants")
    parser.add_argument("--scale", type=int, default=2, help="scale that the numbers are for, if there is one; 2")
    parser.add_argument(
        "--time",
        action="store_true",
        help="measure a training step here: 4 images of 64 x 64 LQ pixels, float32, AdamW (large networks take long)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print one row per network as soon as it is known. Returns the exit code."""
    chosen = _chosen(args.names)
    from traiNNer.measuring.networks import measure_network, usual_scale
    from traiNNer.utils.rows import entries, terminal_width

    head, widths = zip(*COLUMNS, *[TIMED] * args.time, strict=True)
    line = "  ".join(f"{{:{width}}}" for width in widths)
    screen = terminal_width()
    narrow = screen if screen and screen < len(line.format(*head)) else None
    if not narrow:
        print(printable(line.format(*head).rstrip()))
    for component in chosen:
        cells = _cells(component, measure_network(component, usual_scale(component.traits, args.scale), args.time))
        print(printable(entries(head, cells, narrow) if narrow else line.format(*cells).rstrip()), flush=True)
    return 0


def _chosen(names: list[str]) -> list["Component[ArchTraits]"]:
    """Return the archs that are asked for, with the variants of each."""
    from traiNNer.registry import ARCHS, UnknownComponent, fold  # only now: --help need not wait for it

    try:
        wanted = {fold(ARCHS[name].name) for name in names}
    except UnknownComponent as error:
        raise ConfigError(f"{error.name}: {error}") from None
    judges = [name for name in names if ARCHS[name].traits.discriminates]
    if judges:
        raise ConfigError(f"{', '.join(judges)} judges images, it makes none; listed are networks for network_g")
    upscalers = [part for part in ARCHS if not part.traits.discriminates]
    return [part for part in upscalers if not wanted or wanted & {fold(part.name), fold(part.traits.family)}]


def _cells(component: "Component[ArchTraits]", cost: "NetworkCost") -> list[str]:
    traits = component.traits
    sides = [f"x {traits.size_multiple}"] * (traits.size_multiple > 1) + [f">= {traits.least_size}"] * (
        traits.least_size > 1
    )
    cells = [
        component.name,
        f"{cost.scale}x",
        short(cost.parameters),
        short(cost.multiply_adds),
        ", ".join(map(str, traits.scales)) or "any",
        " ".join(sides) or "any",
        traits.license or "-",
        traits.opens_as or "-",
    ]
    return cells if cost.step_s is None else [*cells, f"{cost.step_s:.3g} s"]


def short(number: float) -> str:
    """Return a count in three digits: 45.2 k, 2.35 M, 541 G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}" if number < 1000 * size else f"{number / size:,.0f} {unit}"
    return f"{number:.0f}"
