"""The example of docs/video.md on small films: the recipe, a training that is killed and resumed, an upscaled film."""

import re
import shlex
import signal

import cv2
import numpy as np
import pytest
from runkit import REPOSITORY, Run, record, run
from safetensors.torch import load_file

av = pytest.importorskip("av")
from filmkit import packets, picture, read_film, write_film  # noqa: E402

from traiNNer.cli.main import main  # noqa: E402

NAME = "2x_temporalspan_video"
CHANGES = {
    "train.total_iter": 8,
    "train.warmup_iter": 0,
    "train.scheduler": "null",
    "datasets.train.lq_size": 12,
    "datasets.train.batch_size_per_gpu": 2,
    "datasets.train.num_worker_per_gpu": 1,
    "network_g.feature_channels": 8,
    "network_g.history_channels": 2,
    "val.val_freq": 4,
    "val.metrics": "{psnr: {}, tpsnr: {}, warpdiff: {}}",
    "logger.save_checkpoint_freq": 4,
    "logger.print_freq": 1,
    "logger.use_tb_logger": "false",
    "logger.report": "false",
    "num_gpu": 0,
    "use_amp": "false",
}
SMALL = [word for key, value in CHANGES.items() for word in ("--set", f"{key}={value}")]


def commands():
    """Return the commands of the page that are run here."""
    page = (REPOSITORY / "docs/video.md").read_text(encoding="utf-8")
    found = re.findall(r"^trainner (.*)$", page, re.M)
    assert [line.split()[0] for line in found] == ["options", "train", "upscale"]
    return [shlex.split(line) for line in found]


def write_clips(folder, clips, first):
    for clip in range(first, first + clips):
        for number in range(5):
            frame = picture(number, (48, 64), clip)
            small = cv2.resize(frame, (32, 24), interpolation=cv2.INTER_AREA)
            for side, image in (("hr", frame), ("lr", small)):
                path = folder / side / f"clip{clip}" / f"{number:04}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), image[:, :, ::-1])


def test_example_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_clips(tmp_path / "data", 3, 0)
    write_clips(tmp_path / "val", 1, 9)
    options, train, upscale = commands()
    assert main(options) == 0
    straight = run("train.py", *train[1:], *SMALL, folder=tmp_path)
    assert straight.code == 0, straight.output
    scores = next(line for line in record(tmp_path, NAME) if line["event"] == "validation")
    for metric in ("psnr", "tpsnr", "warpdiff"):
        assert {f"val/val/{metric}", f"val/val/{metric}_bicubic"} <= scores.keys()

    halved = Run("train.py", *train[1:], *SMALL, "--set", "name=halved", folder=tmp_path)
    halved.wait_for("validation 4")
    halved.signal(signal.SIGKILL)
    halved.finish()
    resumed = run("train.py", *train[1:], *SMALL, "--set", "name=halved", "--auto_resume", folder=tmp_path)
    assert resumed.code == 0, resumed.output
    one, two = (load_file(tmp_path / f"experiments/{name}/models/net_g_8.safetensors") for name in (NAME, "halved"))
    assert all(one[key].equal(two[key]) for key in one)

    write_film(tmp_path / "film.mkv", [picture(number, (24, 32)) for number in range(12)])
    assert main([*upscale, "--cpu"]) == 0
    (before, frames), (after, made) = read_film(tmp_path / "film.mkv"), read_film(tmp_path / "film_2x.mkv")
    assert after == before
    assert [frame.shape for frame in made] == [(48, 64, 3)] * len(frames)
    assert packets(tmp_path / "film_2x.mkv") == packets(tmp_path / "film.mkv")


def test_films_are_trained_on_as_their_frames_are(tmp_path):
    """The same frames, once in a lossless film and once in PNG files, give the same weights."""
    for name, clips, first in (("data", 2, 0), ("val", 1, 9)):
        write_clips(tmp_path / name, clips, first)
        for side in ("hr", "lr"):
            (tmp_path / f"{name}_films" / side).mkdir(parents=True)
            for clip in sorted((tmp_path / name / side).iterdir()):
                frames = [cv2.imread(str(file))[:, :, ::-1] for file in sorted(clip.iterdir())]
                target = tmp_path / f"{name}_films" / side / f"{clip.name}.mkv"
                write_film(target, [np.ascontiguousarray(one) for one in frames], (0, 40, 80, 120, 160), sound=None)
    weights = []
    for ending in ("", "_films"):
        folders = {
            "gt": f"data{ending}/hr",
            "lq": f"data{ending}/lr",
            "val-gt": f"val{ending}/hr",
            "val-lq": f"val{ending}/lr",
        }
        named = [word for key, value in folders.items() for word in (f"--{key}", value)]
        file = tmp_path / f"my{ending}.yml"
        assert main(["options", "--arch", "temporalspan", "--recipe", "video", *named, "-o", str(file)]) == 0
        result = run(
            "train.py",
            "-opt",
            file.name,
            *SMALL,
            "--set",
            "train.total_iter=4",
            "--set",
            f"name=run{ending}",
            folder=tmp_path,
        )
        assert result.code == 0, result.output
        weights.append(load_file(tmp_path / f"experiments/run{ending}/models/net_g_4.safetensors"))
    assert all(weights[0][key].equal(weights[1][key]) for key in weights[0])
