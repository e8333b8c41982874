"""The whole of an audit: check a set, print what was found, write the files asked for."""

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress

from traiNNer.audit.contact_sheet import contact_sheet
from traiNNer.audit.deep import Deep, estimate_seconds, look_deep
from traiNNer.audit.findings import KINDS, Finding, by_kind
from traiNNer.audit.survey import Survey, survey
from traiNNer.audit.table import audit_report
from traiNNer.data.files.folders import images_below
from traiNNer.data.files.meta_info import ENTRY
from traiNNer.errors import CannotWrite, ConfigError, DataError
from traiNNer.utils.console import PlainConsole
from traiNNer.utils.files import write_bytes_atomic

COPIES = ("exact", "near")


@dataclass(frozen=True)
class AuditOptions:
    """What to check and what to write.

    Args:
        gt: the folder of the HR images.
        lq: the folder of the LR images; None for HR only.
        deep: decode every image.
        against: folders of test images that must not be in the set; needs `deep`.
        val_gt: the folder of the validation images, likewise.
        html: the contact sheet to write; None for none.
        list_file: the list without the problematic images to write; None for none.
    """

    gt: Path
    lq: Path | None = None
    deep: bool = False
    against: tuple[Path, ...] = ()
    val_gt: Path | None = None
    html: Path | None = None
    list_file: Path | None = None


def run_audit(options: AuditOptions) -> int:
    """Look at a set, print what was found, and write the files asked for. Returns the exit code: 0 or 3.

    Raises:
        ConfigError: options that do not go together.
        DataError: a folder is missing or holds no images.
        CannotWrite: a list that exists already, or a file that cannot be written.
    """
    # Read by a program or kept in a file, lines are not folded to the width of a screen.
    console = PlainConsole(width=None if sys.stdout.isatty() else 200)
    _check(options)
    others = _others(options)
    started = time.perf_counter()
    found = survey(options.gt, options.lq)
    _say_speed(console, found, time.perf_counter() - started)
    deep = _look_deep(console, options, found, others)
    findings = by_kind([*found.findings, *(deep.findings if deep else ())])
    console.print(audit_report(found, deep, findings))
    if found.is_swapped:
        console.print(f"Swapped, the command is: {_swapped_command(options)}")
    if options.html:
        _write(options.html, contact_sheet(found, findings))
        console.print(f"written: {options.html}")
    if options.list_file:
        _write_list(console, options.list_file, found, findings)
    return DataError.exit_code if any(KINDS[finding.kind].stops for finding in findings) else 0


def default_list_name(gt_root: Path) -> str:
    """Return the name of the list for a folder."""
    return f"meta_info_{gt_root.absolute().name or 'set'}.txt"


def _check(options: AuditOptions) -> None:
    if (options.against or options.val_gt) and not options.deep:
        raise ConfigError("--against and --val-gt compare pixels, which takes longer: add --deep.")
    # Before an hour of work rather than after it.
    if options.list_file and options.list_file.exists():
        raise CannotWrite(f"{options.list_file} exists already: delete it, or name another file with -o.")


def _others(options: AuditOptions) -> dict[Path, list[Path]]:
    named = [("--val-gt", options.val_gt)] if options.val_gt else []
    return {
        folder: images_below(name, folder)
        for name, folder in [*named, *(("--against", folder) for folder in options.against)]
    }


def _say_speed(console: PlainConsole, found: Survey, seconds: float) -> None:
    files = len(found.headers)
    rate = f" ({files / seconds:,.0f} images/s)" if seconds > 0 else ""
    console.print(f"Headers of {files} images in {seconds:.2f} s{rate}, those known from before without reading them")


def _look_deep(
    console: PlainConsole, options: AuditOptions, found: Survey, others: dict[Path, list[Path]]
) -> Deep | None:
    flat = [path for paths in others.values() for path in paths]
    expected = _duration(estimate_seconds(found, flat))
    if not options.deep:
        console.print(f"With --deep (shift, color, kernel, JPEG traces, detail, copies) it takes about {expected}")
        return None
    console.print(f"Decoding {len(found.pairs) + len(flat)} images or pairs, about {expected} …")
    with Progress(console=PlainConsole(stderr=True), transient=True) as progress:
        task = progress.add_task("audit", total=len(found.pairs) + len(flat))
        deep = look_deep(found, others, tick=lambda: progress.advance(task))
    console.print(f"Decoded in {_duration(deep.seconds)}")
    return deep


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _swapped_command(options: AuditOptions) -> str:
    more = ["--deep"] if options.deep else []
    return shlex.join(["trainner", "audit", "--gt", str(options.lq), "--lq", str(options.gt), *more])


def keep(found: Survey, findings: Sequence[Finding]) -> list[str]:
    """Return the HR files without a finding that removes them, relative to their folder, in natural order."""
    removing = [finding for finding in findings if KINDS[finding.kind].removes]
    bad: set[Path] = set()
    for finding in removing:
        if finding.kind not in COPIES:
            # Which of two files with one name is the right one, nobody knows.
            bad.update(finding.files if finding.kind == "two_files" else finding.files[:1])
    heirs: dict[Path, Path] = {}
    for copy, original in (finding.files for finding in removing if finding.kind in COPIES):
        # Where the original is left out for another reason, the first good copy stays for it.
        is_heir = original in bad and copy not in bad and heirs.setdefault(original, copy) == copy
        bad.update(() if is_heir else (copy,))
    kept = [pair.files[0] for pair in found.pairs if not bad & set(pair.files)]
    return [path.relative_to(found.gt_root).as_posix() for path in kept]


def _write_list(console: PlainConsole, file: Path, found: Survey, findings: Sequence[Finding]) -> None:
    names = keep(found, findings)
    if not names:
        console.print(f"not written: {file}, as no image would be left")
        return
    lines = {name: line_for(name) for name in names}
    strange = [name for name, line in lines.items() if line is None]
    for name in strange:
        console.print(f"left out, as no list can hold such a name: {name!a}")
    _write(file, "".join(f"{line}\n" for line in lines.values() if line is not None))
    listed = len(names) - len(strange)
    console.print(f"written: {file}, {listed} images, {len(found.pairs) - listed} pairs left out")


def line_for(name: str) -> str | None:
    """Return the line of a list that means this file; None when none can."""
    line = f"./{name}" if name.startswith("#") else name  # which would be a comment
    return line if name == name.strip() and len(name.splitlines()) == 1 and ENTRY.sub(r"\1", line) == line else None


def _write(file: Path, text: str) -> None:
    try:
        write_bytes_atomic(file, text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise CannotWrite(f"Cannot write {file} ({(error.strerror or '').lower()}).") from None
