"""Documentation links resolve: relative links, and the code files that pages name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
SOURCE = re.compile(r"(?<![\w/.-])(?:(?:traiNNer|tests|benchmarks)/[\w/]*\w(?:\.\w+)?|(?:\w+/)+\w+\.py)")
MODULE = re.compile(r"`(traiNNer(?:\.[a-z_0-9]+)+)")
NAMED = re.compile(r"`([\w.]+)`\s\(`([\w/]+\.py)`\)")


def broken_links(page: Path, text: str) -> list[str]:
    """Return the relative links of a page whose file or heading does not exist."""
    links = [link for link in LINK.findall(text) if "://" not in link]
    return [link for link in links if not _resolves(page, link)]


def _resolves(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in anchors(target.read_text(encoding="utf-8")))


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing_files(text: str) -> list[str]:
    """Return the paths, modules and names of the project that a page names and that do not exist."""
    paths = [path for path in SOURCE.findall(text) if _source(path) is None]
    modules = [name for name in MODULE.findall(text) if not _is_module(name)]
    return paths + modules + [name for name, path in NAMED.findall(text) if not _defines(_source(path), name)]


def _source(path: str) -> Path | None:
    """Return a file or folder that is named from the root of the repository or of the package."""
    return next((place for place in (ROOT / path, ROOT / "traiNNer" / path) if place.exists()), None)


def _defines(file: Path | None, name: str) -> bool:
    """Return whether a file defines every part of a dotted name."""
    text = file.read_text(encoding="utf-8") if file else ""
    return all(re.search(rf"^ *(?:(?:class|def) {part}\b|{part}\b.* = )", text, re.M) for part in name.split("."))


def _is_module(name: str) -> bool:
    """Return whether a dotted name is a module or package, or a lower-case name in one."""
    places = [ROOT / name.replace(".", "/"), ROOT / name.rpartition(".")[0].replace(".", "/")]
    return any(place.is_dir() or place.with_suffix(".py").is_file() for place in places)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_files_of_a_page_exist(page):
    text = page.read_text(encoding="utf-8")
    assert broken_links(page, text) == []
    assert missing_files(text) == []


def test_wrong_link_is_detected():
    page = ROOT / "docs/doctor.md"
    text = "[a](doctor.md) [b](gone.md) [c](doctor.md#as-json) [d](doctor.md#gone) [e](#gone) [f](https://a.b/c)"
    assert broken_links(page, text) == ["gone.md", "doctor.md#gone", "#gone"]


def test_wrong_file_is_detected():
    text = (
        "`traiNNer/batch.py`, `traiNNer/engine/gone.py`, `engine/gone.py`, `traiNNer.batch.ImageSet`, `traiNNer.gone.x`"
    )
    assert missing_files(text) == ["traiNNer/engine/gone.py", "engine/gone.py", "traiNNer.gone.x"]


def test_wrong_name_is_detected():
    assert missing_files("`ImageSet.sample` (`batch.py`), `ImageSet.gone` (`batch.py`)") == ["ImageSet.gone"]


def test_index_of_decisions_has_a_row_for_every_section_in_order():
    folder = ROOT / "docs/decisions"
    rows = re.findall(r"^\| (\d+) \|.*\(([\w.]+)#", (folder / "README.md").read_text(encoding="utf-8"), re.M)
    pages = {page.name: page.read_text(encoding="utf-8") for page in sorted(folder.glob("*.md"))}
    sections = [(number, name) for name, text in pages.items() for number in re.findall(r"^## (\d+)\. ", text, re.M)]
    assert rows == sorted(sections, key=lambda section: int(section[0]))
