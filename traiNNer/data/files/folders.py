"""The images below the folders of a set, paired; missing or empty folders are reported."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from traiNNer.data.files.listing import list_images, told
from traiNNer.data.files.pairing import Pairing, gt_alone, pair_folders
from traiNNer.errors import DataError
from traiNNer.imaging.image_file import SUFFIXES
from traiNNer.utils.files import is_folder, natural_key, nearest_existing

FOLDERS_SHOWN = 8


def find_pairs(
    name: str, gt_roots: Sequence[Path] | None, lq_roots: Sequence[Path], names: Collection[str] | None
) -> list[Pairing]:
    """Pair the files of every LQ folder with those of its GT folder, if there is one.

    Args:
        name: the set in the user's words, e.g. `datasets.train`.
        gt_roots: folders of the ground truth, one for each of `lq_roots`; None for images without.
        lq_roots: folders of the small images.
        names: the only GT files that count, as a list names them; None: all.

    Raises:
        DataError: a folder is missing, cannot be read, or holds no images.
    """
    pairings = []
    for place, lq_root in enumerate(lq_roots):
        gt_root = gt_roots[place] if gt_roots else None
        if gt_root:
            require_folder(f"{name}.dataroot_gt", gt_root)
        require_folder(f"{name}.dataroot_lq", lq_root)
        pairings.append(pair_or_refuse(name, gt_root, lq_root, names))
    return pairings


def find_gt(name: str, gt_roots: Sequence[Path], names: Collection[str] | None) -> list[Pairing]:
    """Find the files of every GT folder, which LQ is made of. Raises `DataError` as `find_pairs` does."""
    pairings = []
    for root in gt_roots:
        require_folder(f"{name}.dataroot_gt", root)
        pairing = _readable(name, lambda root=root: gt_alone(root, names))
        if not pairing.pairs and names is None:
            raise no_images(name, root)
        pairings.append(pairing)
    return pairings


def pair_or_refuse(name: str, gt_root: Path | None, lq_root: Path, names: Collection[str] | None = None) -> Pairing:
    """Pair two folders; `name` and `names` are as for `find_pairs`.

    Raises:
        DataError: a folder cannot be read or holds no images.
    """
    pairing = _readable(name, lambda: pair_folders(gt_root, lq_root, names))
    if not pairing.pairs and names is None:
        for root, others in ((gt_root, pairing.without_lq), (lq_root, pairing.without_gt)):
            if root and not others:
                raise no_images(name, root)
    return pairing


def images_below(name: str, root: Path) -> list[Path]:
    """Return every image below a folder; `name` is what the user calls it.

    Raises:
        DataError: it is missing, cannot be read or holds no images.
    """
    require_folder(name, root)
    try:
        files = list(list_images(root).files.values())
    except OSError as error:
        raise DataError(f"{name}: cannot read the folder {error.filename} ({error.strerror}).") from None
    if not files:
        raise no_images(name, root)
    return files


def _readable(name: str, pair: Callable[[], Pairing]) -> Pairing:
    try:
        return pair()
    except OSError as error:
        raise DataError(f"{name}: cannot read the folder {error.filename} ({error.strerror}).") from None


def no_images(name: str, root: Path) -> DataError:
    """Return the error for a folder without images; it tells what was passed over there."""
    passed_over = "".join(f" {line}." for line in told(list_images(root).passed_over))
    return DataError(f"{name} has no images in {root}.{passed_over} Allowed: {', '.join(SUFFIXES)}.")


def require_folder(name: str, root: Path) -> None:
    """Raise `DataError` with what is there instead, if `root` is not a folder; `name` says what it is for."""
    if is_folder(root):
        return
    near = nearest_existing(root)
    try:
        inside = sorted((path.name for path in near.iterdir() if is_folder(path)), key=natural_key)
    except OSError:
        inside = []
    shown = ", ".join(inside[:FOLDERS_SHOWN]) + (", …" if len(inside) > FOLDERS_SHOWN else "")
    raise DataError(
        f"{name}: no such folder {root}. The nearest that exists is {near.absolute()}"
        + (f", with the folders {shown}." if inside else ", which has no folders in it.")
    )
