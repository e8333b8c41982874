"""Films upscaled as a user does it: frames, times, sound, interruptions, and what is said of bad ones."""

import json

import numpy as np
import pytest

av = pytest.importorskip("av")
from filmkit import TIMES, packets, picture, read_film, write_film  # noqa: E402
from safetensors.torch import save  # noqa: E402
from upscalekit import direct, write_weights  # noqa: E402

from traiNNer.cli.main import main  # noqa: E402
from traiNNer.imaging import film as imaging_film  # noqa: E402
from traiNNer.registry import ARCHS  # noqa: E402
from traiNNer.traits import Requirement  # noqa: E402
from traiNNer.upscaling import film, film_parts  # noqa: E402
from traiNNer.upscaling.image import Upscaler  # noqa: E402
from traiNNer.utils.pyav import PYAV  # noqa: E402


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_weights(tmp_path)
    return tmp_path


def upscale(source, target, *more, model="tiny.safetensors"):
    return main(["upscale", "-m", model, "-i", source, "-o", target, "--cpu", "--codec", "ffv1", *more])


def test_frames_times_and_sound(place, capsys):
    frames = write_film(place / "in.mkv")
    assert upscale("in.mkv", "out.mkv") == 0
    times, made = read_film(place / "out.mkv")
    assert [1000 * time for time in times] == list(TIMES)
    for frame, image in zip(frames, made, strict=True):
        assert np.array_equal(image, direct(place / "tiny.safetensors", frame))
    assert packets(place / "out.mkv") == packets(place / "in.mkv")
    assert not (place / "out.mkv.parts").exists()
    said = capsys.readouterr().out
    assert "12 frames (" in said
    assert "kept: 1 audio" in said
    assert upscale("in.mkv", "out.mkv") == 0
    assert "out.mkv exists: skipped (--overwrite writes it again)" in capsys.readouterr().out


@pytest.mark.parametrize(("ending", "codec"), [(".mp4", "h264"), (".mkv", "h265")])
def test_usual_codecs_keep_colors_and_time(place, ending, codec):
    write_film(place / f"in{ending}", codec="libx264", sound="aac", crf=4)
    assert upscale(f"in{ending}", f"out{ending}", "--codec", codec, "--crf", "4") == 0
    (before, frames), (after, made) = (read_film(place / f"{name}{ending}") for name in ("in", "out"))
    assert after == before
    assert len(packets(place / f"out{ending}")) == len(packets(place / f"in{ending}"))
    with av.open(str(place / f"out{ending}")) as container:
        (frame, *_) = container.decode(video=0)
        assert (frame.colorspace, frame.color_range) == (imaging_film.BT601, 1)
    expected = direct(place / "tiny.safetensors", frames[3])
    luma = np.array([0.299, 0.587, 0.114])
    assert np.abs(made[3] @ luma - expected @ luma).mean() < 5


def test_interrupted_film_goes_on_to_the_same_result(place, monkeypatch, capsys):
    monkeypatch.setattr(film, "FRAMES", 5)
    write_film(place / "in.mkv")
    assert upscale("in.mkv", "whole.mkv") == 0
    original, calls = Upscaler.frame, []

    def failing(self, clip):
        calls.append(clip)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return original(self, clip)

    monkeypatch.setattr(Upscaler, "frame", failing)
    assert upscale("in.mkv", "out.mkv") == 130
    assert not (place / "out.mkv").exists()
    assert [file.name for file in sorted((place / "out.mkv.parts").glob("*.mkv"))] == ["000000.mkv"]
    capsys.readouterr()
    assert upscale("in.mkv", "out.mkv") == 0
    assert len(calls) == 8 + 7  # the five frames of the first part are not made again
    assert "going on after 5 frames, which are in out.mkv.parts" in capsys.readouterr().out
    whole, again = read_film(place / "whole.mkv"), read_film(place / "out.mkv")
    assert whole[0] == again[0]
    assert all(np.array_equal(one, two) for one, two in zip(whole[1], again[1], strict=True))
    assert packets(place / "whole.mkv", "video") == packets(place / "out.mkv", "video")


def test_parts_of_other_settings_are_not_taken(place, monkeypatch):
    write_film(place / "in.mkv", times=TIMES[:4])
    parts = film_parts.Parts(place / "out.mkv", {"crf": 1})
    assert parts.begin() == 0
    (parts.folder / "000000.mkv").write_bytes(b"of another film")
    assert film_parts.Parts(place / "out.mkv", {"crf": 1}).begin() == 1
    assert film_parts.Parts(place / "out.mkv", {"crf": 2}).begin() == 0
    (place / "own.mkv.parts").mkdir()
    (place / "own.mkv.parts/letter.txt").write_text("mine")
    assert upscale("in.mkv", "own.mkv") == 7
    assert (place / "own.mkv.parts/letter.txt").exists()


def temporal_weights(path):
    about = {
        "arch": "temporalspan",
        "scale": 2,
        "options": {"num_frames": 3, "feature_channels": 8, "history_channels": 2},
    }
    network = ARCHS.build("temporalspan", about["options"], scale=2, seed=0)
    about["options"] = ARCHS["temporalspan"].options.parse(about["options"]).model_dump(mode="json")
    path.write_bytes(
        save({k: v.contiguous() for k, v in network.state_dict().items()}, {"traiNNer": json.dumps(about)})
    )
    return network.eval()


def test_network_of_clips_sees_the_frames_around_and_no_other_scene(place, capsys):
    import torch

    network = temporal_weights(place / "clips.safetensors")
    frames = [picture(number, (24, 32)) for number in range(4)] + [picture(n, (24, 32), seed=3) for n in range(3)]
    write_film(place / "in.mkv", frames, tuple(range(0, 280, 40)))
    assert upscale("in.mkv", "out.mkv", model="clips.safetensors") == 0
    assert "which sees 3 frames at once" in capsys.readouterr().out
    _, made = read_film(place / "out.mkv")
    windows = [(0, 0, 1), (0, 1, 2), (1, 2, 3), (2, 3, 3), (4, 4, 5), (4, 5, 6), (5, 6, 6)]
    for places, image in zip(windows, made, strict=True):
        clip = torch.from_numpy(np.stack([frames[place] for place in places])).permute(0, 3, 1, 2)[None].float() / 255
        with torch.no_grad():
            expected = network(clip)[0].clamp(0, 1).mul(255).round().permute(1, 2, 0).numpy()
        assert np.abs(image - expected).max() <= 1


def test_damaged_film_is_upscaled_as_far_as_it_goes(place, capsys):
    write_film(place / "in.mkv", codec="libx264", sound=None, g=3)
    content = bytearray((place / "in.mkv").read_bytes())
    content[len(content) // 2 : len(content) // 2 + 60] = bytes(60)
    (place / "in.mkv").write_bytes(content)
    code = upscale("in.mkv", "out.mkv")
    said = capsys.readouterr()
    if code:
        assert "damaged; frames may be missing there" in said.err
    assert 0 < len(read_film(place / "out.mkv")[0]) <= 12


def test_what_is_no_film_is_named(place, capsys):
    (place / "in.mkv").write_bytes(b"no film at all")
    assert upscale("in.mkv", "out.mkv") == 1
    assert "in.mkv (not a readable film: invalid data" in capsys.readouterr().err
    assert not (place / "out.mkv").exists()
    assert not (place / "out.mkv.parts").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("in.mkv", "out.png"), 2, "-o out.png cannot be written as a film; endings: .mkv"),
        (("in.mkv", "in.mkv", "--overwrite"), 2, "-o in.mkv is the film itself: name another file"),
        (("in.mkv", "out.mkv", "--format", "png"), 2, "--format is for images"),
        (("gone.mkv", "out.mkv"), 3, "-i gone.mkv: no such film."),
        (("a.png", "out.mkv"), 2, "-i a.png: a film is upscaled by itself: name one film and no images"),
    ],
)
def test_wrong_places_are_refused(place, capsys, arguments, code, words):
    write_film(place / "in.mkv", times=TIMES[:2], sound=None)
    assert upscale(*arguments) == code
    assert words in capsys.readouterr().err


def test_missing_pyav_is_answered_by_its_command(place, monkeypatch, capsys):
    write_film(place / "in.mkv", times=TIMES[:2], sound=None)
    monkeypatch.setattr(film, "PYAV", Requirement("no_such_module", PYAV.install))
    assert upscale("in.mkv", "out.mkv") == 2
    assert 'install it with: pip install "trainner-sr[video]", or pip install av' in capsys.readouterr().err


def test_film_into_a_folder_and_odd_sizes(place):
    write_film(place / "in.mkv", [picture(0, (27, 33))], (0,), sound=None)
    assert upscale("in.mkv", "results", "--scale", "2") == 0
    assert read_film(place / "results/in.mkv")[1][0].shape == (54, 66, 3)
