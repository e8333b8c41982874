"""What an audit found, as a table for the user: a row for each kind of problem, and a summary of the set."""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from rich.console import Group
from rich.text import Text

from traiNNer.audit.deep import Deep
from traiNNer.audit.findings import KINDS, Finding
from traiNNer.audit.survey import Survey
from traiNNer.utils.printable import printable_name
from traiNNer.utils.rows import FoldingTable

NAMES_SHOWN = 5


def audit_report(found: Survey, deep: Deep | None, findings: Sequence[Finding]) -> Group:
    """Return the summary of a set and the table of its problems; `findings` are those of headers and pixels."""
    rows = [Text(line) for line in _summary(found, deep)]
    if not findings:
        return Group(*rows, Text("No problems found."))
    table = FoldingTable("count", "problem", "names", "what to do")
    table.columns[0].justify = "right"
    counts = Counter(finding.kind for finding in findings)
    for key in (key for key in KINDS if key in counts):
        of_kind = [finding for finding in findings if finding.kind == key]
        title = KINDS[key].title + (" (training is refused)" if KINDS[key].stops else "")
        table.add_row(*map(Text, (str(counts[key]), title, _names(of_kind), KINDS[key].advice)))
    return Group(*rows, table)


def _names(findings: Sequence[Finding]) -> str:
    shown = [f"{finding.name} ({finding.detail})" if finding.detail else finding.name for finding in findings]
    more = [f"… and {len(shown) - NAMES_SHOWN} more"] if len(shown) > NAMES_SHOWN else []
    return "\n".join([*map(printable_name, shown[:NAMES_SHOWN]), *more])  # before a table measures them


def _summary(found: Survey, deep: Deep | None) -> Iterator[str]:
    what = "pairs" if found.lq_root else "HR images"
    yield f"{len(found.pairs)} {what} in {found.gt_root}" + (f" and {found.lq_root}" if found.lq_root else "")
    if found.scales:
        yield f"scale: {_scales(found)}"
    if found.pairs:
        headers = [found.headers[pair.files[0]] for pair in found.pairs]
        yield f"HR width {_range([header.width for header in headers])}, height " + _range(
            [header.height for header in headers]
        )
        bits = Counter(f"{header.bits} bit" for header in found.headers.values())
        yield "depth: " + ", ".join(f"{name} in {count} files" for name, count in bits.most_common())
    if deep and found.lq_root:
        kernels = [(name or "too smooth to identify", count) for name, count in deep.kernels.most_common()]
        yield "LR made by: " + (", ".join(f"{name} in {count}" for name, count in kernels) or "no usable pair")


def _scales(found: Survey) -> str:
    if found.scale:
        return f"{found.scale}x in all pairs"
    return ", ".join(f"{f'{scale}x' if scale else 'none that fits'} in {n}" for scale, n in found.scales.most_common())


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low} px" if low == high else f"{low} to {high} px (median {median(values):.0f})"
