"""Whether option files of traiNNer-redux train here: 20 iterations on tiny data, and the same with a stop halfway.

    python -m benchmarks.redux_runs traiNNer-redux/options/_templates/train [--only SPAN ...] [--kinds gan] [--whole]

Of every family the first fidelity and the first GAN template that load are run on the CPU as they are, except for what
makes them small: folders of tiny images, crops, batches, the number of iterations, the sizes of the networks (`--whole`
keeps those), and random weights of VGG19. A run counts if it ends with exit code 0 and the interrupted one has equal
weights, bit for bit.
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tests.archkit import TINY
from traiNNer import load_network
from traiNNer.cli.train import main as main_of_train
from traiNNer.config.load import Loaded, load_options
from traiNNer.config.options import TrainOptions
from traiNNer.errors import ConfigError
from traiNNer.registry import ARCHS

ITERATIONS, HALF = 20, 10
CROP, BATCH, VGG_LEAST = 16, 2, 32


def first_templates(folder: Path, only: list[str], kinds: list[str]) -> Iterator[Path]:
    """Yield of every family the first fidelity and the first GAN template that load."""
    seen = set()
    for path in sorted(folder.rglob("*.yml")):
        kind = (path.parent.name, path.stem.rpartition("_")[2])
        if kind in seen or kind[1] not in kinds or (only and path.parent.name not in only):
            continue
        try:
            load_options(path, TrainOptions)
        except ConfigError:
            continue
        seen.add(kind)
        yield path


def small(loaded: Loaded[TrainOptions], whole: bool) -> dict[str, object]:
    """Return what is to be put over a template, by key."""
    options = loaded.options
    traits = ARCHS[options.network_g.type].traits
    changes: dict[str, object] = {
        "num_gpu": 0,
        "manual_seed": 1,
        "path": {},
        "datasets.train.dataroot_gt": "hr",
        "datasets.train.dataroot_lq": "lr",
        "datasets.train.lq_size": traits.fitting(max(CROP, VGG_LEAST // options.scale)),
        "datasets.train.batch_size_per_gpu": BATCH,
        "datasets.train.num_worker_per_gpu": 0,
        "train.total_iter": ITERATIONS,
        "logger.save_checkpoint_freq": HALF,
        "logger.use_tb_logger": False,
    }
    if not whole:
        family = traits.family or options.network_g.type
        changes |= {f"network_g.{option}": value for option, value in TINY[family].items()}
    if options.network_d is not None:
        changes["network_d.num_feat"] = 8
    for place, loss in enumerate(loaded.root.at(("train", "losses")).value):  # pyright: ignore[reportOptionalMemberAccess]
        if loss.child("type").value == "perceptualloss":
            changes[f"train.losses[{place}].pretrained"] = False
    return changes


def write_images(folder: Path, scale: int, side: int = 96) -> None:
    """Write four pairs of smooth images, `side` LQ pixels wide."""
    rng = np.random.default_rng(0)
    for name in ("hr", "lr"):
        (folder / name).mkdir(exist_ok=True)
    for number in range(4):
        coarse = rng.uniform(0, 255, (12, 12, 3)).astype(np.float32)
        hr = np.clip(cv2.resize(coarse, (side * scale, side * scale), interpolation=cv2.INTER_CUBIC), 0, 255)
        lr = cv2.resize(hr, (side, side), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"hr/{number}.png"), hr.astype(np.uint8))
        cv2.imwrite(str(folder / f"lr/{number}.png"), lr.astype(np.uint8))


def train(folder: Path, template: Path, name: str, changes: dict[str, object], *more: str) -> str:
    """Run train.py in this process, which has loaded torch already; return what it said last if it failed."""
    changes = {"name": name} | changes
    sets = [word for key, value in changes.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    said = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main_of_train(["-opt", str(template.resolve()), *sets, *more])
    return "" if code == 0 else f"exit code {code}: {said.getvalue().strip()[-600:]}"


def trains(template: Path, folder: Path, whole: bool) -> str:
    """Train a template straight and with a stop; return what is wrong, or nothing."""
    loaded = load_options(template, TrainOptions)
    changes = small(loaded, whole)
    write_images(folder, loaded.options.scale)
    length = changes | {"train.total_iter": HALF}
    wrong = (
        train(folder, template, "straight", changes)
        or train(folder, template, "halved", length)
        or train(folder, template, "halved", changes, "--auto_resume")
    )
    if wrong:
        return wrong
    one, other = (sorted((folder / "experiments" / run / "models").glob("*_20.*")) for run in ("straight", "halved"))
    if [path.name for path in one] != [path.name for path in other] or not one:
        return "the two runs have other weights files"
    different = [a.name for a, b in zip(one, other, strict=True) if not _equal(a, b)]
    return f"the resumed run has other weights: {', '.join(different)}" if different else ""


def _equal(one: Path, other: Path) -> bool:
    a, b = (load_network(path).state_dict() for path in (one, other))
    return a.keys() == b.keys() and all(a[key].equal(b[key]) for key in a)


def main() -> None:
    """Print a line per template; exit code 1 if one of them does not train."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=[], metavar="FAMILY", help="folders of templates")
    parser.add_argument("--kinds", nargs="+", default=["fidelity", "gan"], choices=("fidelity", "gan"))
    parser.add_argument("--whole", action="store_true", help="networks as large as the template says")
    args = parser.parse_args()
    count = good = 0
    for template in first_templates(args.folder, args.only, args.kinds):
        with tempfile.TemporaryDirectory() as folder:
            wrong = trains(template, Path(folder), args.whole)
        count, good = count + 1, good + (not wrong)
        print(f"{'trains, resumes exactly' if not wrong else 'FAILS'}  {template.stem}  {wrong}".rstrip(), flush=True)
    print(f"{good} of {count} templates train")
    sys.exit(good < count)


if __name__ == "__main__":
    main()
