"""Films in place of folders of frames: each frame is an image whose path is that of the film with its number."""

from collections.abc import Sequence
from pathlib import Path

from traiNNer.data.files.pairing import Pair
from traiNNer.data.files.scan import Scan
from traiNNer.errors import DataError
from traiNNer.imaging.film import Film, is_film
from traiNNer.imaging.image_file import ImageError
from traiNNer.utils.files import natural_key

Films = dict[Path, Film]
Listed = dict[str, Path] | None


def list_films(root: Path) -> dict[str, Path]:
    """Return the films below a folder by their paths without the ending, in natural order; a film is itself."""
    if root.is_file():
        return {root.stem: root} if is_film(root) else {}
    found = {path.relative_to(root).with_suffix("").as_posix(): path for path in root.rglob("*") if is_film(path)}
    return dict(sorted(found.items(), key=lambda item: (natural_key(item[0]), item[0])))


def has_films(roots: Sequence[Path] | None) -> bool:
    """Whether folders hold films instead of images."""
    return any(list_films(root) for root in roots or ())


def scan_films(
    name: str,
    gt_roots: Sequence[Path] | None,
    lq_roots: Sequence[Path] | None,
    scale: int,
    crop: int | None,
    max_megapixels: float,
) -> tuple[Scan, Films]:
    """Find and check the films of every folder; either side may be missing.

    Returns:
        A pair for every frame, as `scan_set` returns them, and the films by path.

    Raises:
        DataError: PyAV is not installed, or a folder holds no films.
    """
    scan, films = Scan(name), Films()
    count = len(gt_roots or lq_roots or ())
    for place in range(count):
        gt = _listed(f"{name}.dataroot_gt", gt_roots[place]) if gt_roots else None
        lq = _listed(f"{name}.dataroot_lq", lq_roots[place]) if lq_roots else None
        _take(scan, films, f"{place}/" if count > 1 else "", (gt, lq), scale, crop, max_megapixels)
    return scan, films


def _listed(key: str, root: Path) -> dict[str, Path]:
    found = list_films(root)
    if not found:
        raise DataError(f"{key}: {root} has no films, and the folder that belongs to it has")
    return found


def _take(
    scan: Scan,
    films: Films,
    prefix: str,
    sides: tuple[Listed, Listed],
    scale: int,
    crop: int | None,
    max_megapixels: float,
) -> None:
    gt, lq = sides
    for key, path in (gt or lq or {}).items():
        paths = [path if gt is not None else None, None if lq is None else lq.get(key)]
        if lq is not None and paths[1] is None:
            scan.add("films without a partner in dataroot_lq", str(path))
            continue
        opened = [one and _opened(scan, films, one, max_megapixels) for one in paths]
        if any(one is not None and film is None for one, film in zip(paths, opened, strict=True)):
            continue
        large, small = opened
        if _fits(scan, large, small, scale, crop):
            _add(scan, f"{prefix}{key}", large, small)
    for key, path in (lq or {}).items():
        if gt is not None and key not in gt:
            scan.add("films without a partner in dataroot_gt", str(path))


def _opened(scan: Scan, films: Films, path: Path, max_megapixels: float) -> Film | None:
    try:
        films[path] = Film(path, max_megapixels)
    except ImageError as error:
        scan.add("unreadable films", str(error))
        return None
    return films[path]


def _fits(scan: Scan, large: Film | None, small: Film | None, scale: int, crop: int | None) -> bool:
    """Note where two films do not belong together, or are too small for the crops."""
    film = small or large
    assert film is not None
    times = 1 if small else scale
    if crop and min(film.header.width, film.header.height) < crop * times:
        scan.add(f"films too small for lq_size {crop}", f"{film.path} {film.header.width}x{film.header.height}")
        return False
    if large is None or small is None:
        return True
    shown = " and ".join(f"{one.path} {one.header.width}x{one.header.height}" for one in (large, small))
    over = [getattr(large.header, side) - scale * getattr(small.header, side) for side in ("width", "height")]
    if min(over) < 0 or max(over) >= scale:
        scan.add(f"films do not fit scale {scale}", shown)
    elif len(large) != len(small):
        scan.add("films of different lengths", f"{large.path} {len(large)} frames and {small.path} {len(small)}")
    else:
        return True
    return False


def _add(scan: Scan, key: str, large: Film | None, small: Film | None) -> None:
    for number in range(len(small or large or ())):
        files: dict[Film, Path] = {film: film.path / f"{number:08}" for film in (large, small) if film is not None}
        lq, gt = (None if film is None else files[film] for film in (small, large))
        scan.pairs.append(Pair(f"{key}/{number:08}", lq, gt))
        scan.headers.update({file: film.header for film, file in files.items()})
