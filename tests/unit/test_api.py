"""Training, testing and upscaling as a Python program does it."""

import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from imagekit import numbers, write_png
from runkit import base_options, merged, workplace
from torch import nn
from upscalekit import direct, tiny_network, write_weights

import traiNNer
from traiNNer import api
from traiNNer.engine.signals import ALWAYS
from traiNNer.errors import ConfigError, DataError, Interrupted
from traiNNer.registry import ARCHS

DOCS = Path(__file__).parents[2] / "docs/python.md"
TINY = {
    "network_g": {"type": "compact", "num_feat": 4, "num_conv": 1},
    "train": {"total_iter": 2},
    "val": {"val_freq": 2, "metrics": {"psnr": {}, "ssim": None}},
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a working folder with data for tiny runs."""
    monkeypatch.chdir(tmp_path)
    return workplace(tmp_path, images=2)


def options(**changes):
    return merged(merged(base_options(), TINY), changes)


def test_training_returns_its_weights(place, capsys):
    result = traiNNer.train(options(), quiet=True)
    assert result.ended == "finished: 2/2"
    assert result.weights == result.best["psnr"] == Path("experiments/run/models/net_g_best_psnr.safetensors")
    assert result.last == Path("experiments/run/models/net_g_ema_2.safetensors")
    assert capsys.readouterr().out == ""
    again = yaml.safe_load((result.folder / "options.yml").read_text())
    assert again["network_g"] == TINY["network_g"]
    assert traiNNer.train(options(), auto_resume=True).ended.startswith("finished: 2/2 (nothing left to do")
    assert "nothing left to do" in capsys.readouterr().out


def test_file_and_overrides_are_those_of_the_command(place):
    Path("my.yml").write_text(yaml.safe_dump(options()))
    assert traiNNer.train("my.yml", overrides=["train.total_iter=1"], quiet=True).ended == "finished: 1/1"
    assert traiNNer.train(Path("my.yml"), overwrite=True, quiet=True).ended == "finished: 2/2"


def test_stages_of_a_file_are_trained(place):
    tree = options(stages=[{"name": "one"}, {"name": "two", "start_from": "last"}])
    Path("my.yml").write_text(yaml.safe_dump(tree))
    assert traiNNer.train("my.yml", quiet=True).folder == Path("experiments/run/two")
    with pytest.raises(ConfigError, match="stages: write the options to a file"):
        traiNNer.train(tree)


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_handlers_of_the_caller_are_back(place, ends):
    def mine(*_):
        raise AssertionError("never called")

    before = {number: signal.signal(number, mine) for number in ALWAYS}
    try:
        if ends == "well":
            traiNNer.train(options(), quiet=True)
        else:
            with pytest.raises(DataError):
                traiNNer.train(options(datasets={"train": {"dataroot_gt": "nowhere"}}), quiet=True)
        assert {signal.getsignal(number) for number in ALWAYS} == {mine}
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_training_in_a_thread_touches_no_handler(place, monkeypatch):
    def refuse(*_):
        raise AssertionError("a handler was set")

    monkeypatch.setattr(signal, "signal", refuse)
    ended = []
    thread = threading.Thread(target=lambda: ended.append(traiNNer.train(options(), quiet=True).ended))
    thread.start()
    thread.join()
    assert ended == ["finished: 2/2"]


def test_stop_signal_raises_after_saving(place):
    metrics = Path("experiments/run/metrics.jsonl").absolute()

    def press_ctrl_c():
        while not metrics.exists() or '"train"' not in metrics.read_text():
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=press_ctrl_c)
    thread.start()
    slow = {"network_g": {"type": "paragonsr2_nano"}, "train": {"total_iter": 100_000}}
    with pytest.raises(Interrupted, match=r"Ctrl\+C"):
        traiNNer.train(options(**slow, logger={"print_freq": 1}), quiet=True)
    thread.join()
    assert signal.getsignal(signal.SIGINT) == before
    assert "Interrupted (Ctrl+C)" in metrics.read_text()
    assert list(Path("experiments/run/training_states").glob("*.state"))


def test_wrong_options_are_reported_as_those_of_a_file():
    with pytest.raises(ConfigError, match="scal = 2  unknown option; did you mean 'scale'") as refused:
        traiNNer.train(options(scal=2))
    assert str(refused.value).startswith("the options: 1 problem\n")
    assert refused.value.problems[0].key == "scal"
    with pytest.raises(ConfigError, match="the options: Object of type set"):
        traiNNer.train(options(name={1, 2}))
    with pytest.raises(ConfigError, match="no such arch; did you mean"):
        traiNNer.build_network("compactt", scale=2)
    with pytest.raises(ConfigError, match="num_feat = few  must be a whole number"):
        traiNNer.build_network("compact", scale=2, num_feat="few")


def test_evaluation_returns_the_scores(place):
    weights = write_weights(place)
    test = {key: value for key, value in options().items() if key in ("name", "scale", "num_gpu", "network_g", "val")}
    del test["val"]["val_freq"]
    scores = traiNNer.evaluate(
        test
        | {"datasets": {"val": base_options()["datasets"]["val"]}}
        | {"path": {"pretrain_network_g": str(weights)}},
        quiet=True,
    )
    assert set(scores["val"]["images"]) == {"000.png", "001.png"}
    assert scores["val"]["mean"]["psnr_bicubic"] > scores["val"]["mean"]["psnr"] > 0


def test_file_and_module_upscale_alike(tmp_path):
    weights, image = write_weights(tmp_path), numbers(9, 12, 3)
    expected = direct(weights, image)
    assert np.array_equal(traiNNer.upscale(weights, image), expected)
    network = tiny_network().train()
    assert np.array_equal(traiNNer.upscale(network, image), expected)
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 2), (5, 7, 3), (5, 7, 4)])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "float64"])
def test_result_is_of_the_same_kind(shape, kind):
    large = np.iinfo(kind).max if kind.startswith("u") else 1
    image = (np.random.default_rng(0).random(shape) * large).astype(kind)
    result = traiNNer.upscale(tiny_network(), image)
    assert (result.shape, result.dtype) == ((10, 14, *shape[2:]), image.dtype)
    assert 0 <= result.min() < result.max() <= large


def test_tiles_and_scale_reach_the_network(tmp_path):
    image, sizes = numbers(60, 80, 3), []
    network = tiny_network()
    network.register_forward_hook(lambda module, given, _: sizes.append(max(given[0].shape)))
    whole = traiNNer.upscale(network, image, tile=0)
    assert max(sizes) == 80
    sizes.clear()
    tiled = traiNNer.upscale(network, image, tile=24, overlap=8)
    assert max(sizes) < 80
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    with pytest.raises(ConfigError, match="leave --scale out"):
        traiNNer.upscale(write_weights(tmp_path), image, scale=3)


def test_negative_tiles_are_refused():
    with pytest.raises(ValueError, match="must be at least 0"):
        traiNNer.upscale(nn.Identity(), np.zeros((3, 3)), tile=-1)


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match="divide by the largest value"):
        traiNNer.upscale(tiny_network(), np.full((3, 3), 255.0))


def test_archs_are_those_that_make_images():
    names = traiNNer.list_archs()
    assert {"compact", "span_s", "paragonsr2_nano"} <= set(names)
    assert list(names) == sorted(names)
    assert not [name for name in names if ARCHS[name].traits.discriminates]
    assert api.list_archs() == names


def test_examples_of_the_page_run(place, capsys):
    Path("my.yml").write_text(yaml.safe_dump(options()))
    write_png(Path("photo.png"), numbers(20, 24, 3))
    blocks = re.findall(r"^```python\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.S | re.M)
    assert len(blocks) == 7
    scope = {}
    torch.manual_seed(0)
    for block in blocks:
        exec(compile(block, str(DOCS), "exec"), scope)
    assert scope["large"].shape == (40, 48, 3)
    assert scope["first"].shape == (40, 48)
    said = capsys.readouterr().out
    assert "finished: 12/12" in said
    assert said.rstrip().endswith("scal")


STRICT = """# pyright: strict
from pathlib import Path
import numpy as np
import traiNNer
from traiNNer.errors import ConfigError
from traiNNer.registry import LOSSES

@LOSSES.register()
class Mine:
    weight = 1.0

    def __init__(self, power: float = 2.0) -> None:
        self.power = power

try:
    result = traiNNer.train({"name": "run"}, overrides=["scale=2"], quiet=True)
    scores = traiNNer.evaluate(Path("test.yml"))["val"]["mean"]
    if result.weights:
        large = traiNNer.upscale(traiNNer.load_network(result.weights), np.zeros((8, 8, 3), np.uint8))
        print(large.shape, scores, result.best["psnr"].name, Mine(2.0).power.hex(), traiNNer.list_archs()[0].upper())
except ConfigError as error:
    print(error.problems[0].key, traiNNer.__version__)
"""


@pytest.mark.nightly
def test_program_of_a_user_is_clean_in_strict_mode(tmp_path):
    tool = shutil.which("pyright", path=str(Path(sys.executable).parent)) or shutil.which("pyright")
    if tool is None:
        pytest.skip("pyright is not installed")
    (tmp_path / "user.py").write_text(STRICT)
    (tmp_path / "pyrightconfig.json").write_text(f'{{"extraPaths": ["{Path(traiNNer.__file__).parents[1]}"]}}')
    command = [tool, "--pythonpath", sys.executable, "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
