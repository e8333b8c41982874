"""Whether spandrel opens a weights file in a separate process, as other programs do, and computes the same."""

import os
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

from traiNNer.errors import NotExported
from traiNNer.export.agreement import pattern
from traiNNer.export.source import Source

TOLERANCE = 1e-4
"""Largest difference of outputs in [0, 1]: the same arithmetic on the same weights."""
PATIENCE_S = 600
IMAGES, OUTPUT = "images.safetensors", "output.safetensors"
PROGRAM = """
import sys
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file
from spandrel import ModelLoader
weights, folder, scale = sys.argv[1:]
if scale != "0":
    import traiNNer.spandrel
    traiNNer.spandrel.install(int(scale))
model = ModelLoader(device="cpu").load_from_file(weights)
images = load_file(str(Path(folder) / "images.safetensors"))["images"]
with torch.inference_mode():
    output = model.model.eval()(images)
save_file({"output": output.contiguous()}, str(Path(folder) / "output.safetensors"))
print(model.architecture.id)
"""


def prove(source: Source, weights: Path, folder: Path) -> str:
    """Open a weights file with spandrel in a new process.

    An arch that spandrel does not have is taught to it by `traiNNer.spandrel.install`; all others are opened without a
    line of traiNNer.

    Args:
        source: the network that was written.
        weights: the file.
        folder: where files may be written for the exchange.

    Returns:
        What was proven, in words.

    Raises:
        NotExported: spandrel does not open it, or computes something else.
    """
    side = source.traits.fitting(max(64, source.least_side))
    images = pattern(side, side, frames=source.frames)
    save_file({"images": images}, folder / IMAGES)
    needed = "0" if source.is_known_elsewhere else str(source.scale)
    identifier = _run([str(weights), str(folder), needed], weights.name)
    difference = float((load_file(folder / OUTPUT)["output"] - source.upscaled(images)).abs().max())
    for name in (IMAGES, OUTPUT):
        (folder / name).unlink()
    if not difference <= TOLERANCE:
        raise NotExported(f"{weights.name}: spandrel computes something else (largest difference {difference:.2g}).")
    taught = "" if source.is_known_elsewhere else ", after traiNNer.spandrel.install()"
    opened = f"opened by spandrel in a new process as {identifier}{taught}"
    return f"{weights.name}: {opened}; largest difference {difference:.1e}"


def _run(arguments: list[str], title: str) -> str:
    root = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=os.environ | {"PYTHONPATH": paths},
    )
    if done.returncode:
        reason = next(iter(done.stderr.strip().splitlines()[::-1]), f"exit code {done.returncode}")
        raise NotExported(f"{title}: spandrel does not open it ({reason}).")
    return done.stdout.strip().splitlines()[-1]
