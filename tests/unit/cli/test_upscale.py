from io import BytesIO

import numpy as np
import pytest
from imagekit import numbers, png_bytes, tiff_bytes, wide_profile, write_png
from PIL import Image
from upscalekit import direct, write_weights

from traiNNer.cli.main import main
from traiNNer.imaging.image_file import read_image
from traiNNer.upscaling import command, memory
from traiNNer.utils.upscaling import Tiling

COLOR = numbers(9, 12, 3)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a working folder with `tiny.safetensors` and one image `in/a.png`."""
    monkeypatch.chdir(tmp_path)
    write_weights(tmp_path)
    write_png(tmp_path / "in/a.png", COLOR)
    return tmp_path


def upscale(*arguments):
    return main(["upscale", "-m", "tiny.safetensors", "-i", "in", "-o", "out", "--cpu", *arguments])


def opened(path):
    with Image.open(path) as image:
        image.load()
        return image


def result(place, name):
    return np.array(opened(place / "out" / name))


def test_image_is_what_the_network_makes_of_it(place, capsys):
    assert upscale() == 0
    assert np.array_equal(result(place, "a.png"), direct(place / "tiny.safetensors", COLOR))
    said = capsys.readouterr().out
    assert "tiny.safetensors, 2x" in said
    assert "[1/1] in/a.png: 12x9 -> 24x18" in said
    assert "upscaled 1 image (" in said
    assert "Mpx/s)" in said


def test_tile_and_overlap_reach_the_network(place, monkeypatch):
    write_png(place / "in/a.png", numbers(40, 60, 3))
    seen = []
    monkeypatch.setattr(command, "Tiling", lambda *sizes: seen.append(sizes) or Tiling(*sizes))
    assert upscale("--tile", "24", "--overlap", "4") == 0
    assert seen == [(24, 4)]
    whole = direct(place / "tiny.safetensors", read_image(place / "in/a.png"))
    assert np.abs(result(place, "a.png").astype(int) - whole).max() <= 1


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("deep.png", png_bytes(numbers(9, 12, 3, bits=16)), "png"),
        ("deep.tif", tiff_bytes(numbers(9, 12, 3, bits=16)), "tiff"),
    ],
)
def test_sixteen_bits_stay_sixteen(place, name, data, kind):
    (place / "in" / name).write_bytes(data)
    assert upscale("--format", kind) == 0
    written = read_image(place / f"out/deep.{kind[:3]}")
    assert written.dtype == np.uint16
    assert np.array_equal(written, direct(place / "tiny.safetensors", numbers(9, 12, 3, bits=16)))


def test_sixteen_bits_as_jpeg_are_said_to_be_eight(place, capsys):
    (place / "in/a.png").write_bytes(png_bytes(numbers(9, 12, 3, bits=16)))
    assert upscale("--format", "jpeg") == 0
    assert result(place, "a.jpg").dtype == np.uint8
    assert "16 bits are written as 8: jpeg has no more" in capsys.readouterr().out


def test_gray_stays_gray_and_opacity_is_kept(place):
    write_png(place / "in/gray.png", numbers(9, 12, 1))
    write_png(place / "in/both.png", numbers(9, 12, 2))
    write_png(place / "in/clear.png", numbers(9, 12, 4))
    assert upscale() == 0
    modes = {name: opened(place / "out" / f"{name}.png").mode for name in ("a", "gray", "both", "clear")}
    assert modes == {"a": "RGB", "gray": "L", "both": "LA", "clear": "RGBA"}
    colors = numbers(9, 12, 4)
    expected = direct(place / "tiny.safetensors", np.ascontiguousarray(colors[:, :, :3]))
    assert np.array_equal(result(place, "clear.png")[:, :, :3], expected)
    assert result(place, "clear.png")[:, :, 3].std() > 5


def test_opaque_images_have_no_opacity_afterwards(place):
    write_png(place / "in/a.png", np.dstack([COLOR, np.full((9, 12), 255, np.uint8)]))
    assert upscale("--format", "jpeg") == 0
    assert result(place, "a.jpg").shape == (18, 24, 3)


@pytest.mark.parametrize("about", ["turned", "profile"])
def test_pixels_are_those_that_are_seen(place, about):
    image, file = Image.fromarray(COLOR), BytesIO()
    exif = image.getexif()
    exif[274] = 6
    extra = {"exif": exif} if about == "turned" else {"icc_profile": wide_profile()}
    image.save(file, "PNG", **extra)
    (place / "in/a.png").write_bytes(file.getvalue())
    assert upscale() == 0
    seen = np.rot90(COLOR, -1) if about == "turned" else read_image(place / "in/a.png")
    assert not np.array_equal(seen, COLOR)
    assert np.array_equal(result(place, "a.png"), direct(place / "tiny.safetensors", np.ascontiguousarray(seen)))
    written = opened(place / "out/a.png")
    assert written.getexif().get(274, 1) == 1
    assert "icc_profile" not in written.info


def test_bad_file_is_named_and_the_others_are_written(place, capsys):
    (place / "in/0.png").write_bytes((place / "in/a.png").read_bytes()[:60])
    (place / "in/empty.png").write_bytes(b"")
    assert upscale() == 1
    assert sorted(path.name for path in (place / "out").iterdir()) == ["a.png"]
    said = capsys.readouterr()
    assert "in/0.png: failed: truncated PNG" in said.err
    assert "in/empty.png: failed: empty file" in said.err
    assert "2 failed: in/0.png, in/empty.png" in said.out.splitlines()[-1]


def test_last_line_names_the_first_ones_that_failed(place, capsys):
    for number in range(12):
        (place / f"in/x{number}.png").touch()
    assert upscale() == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert "12 failed: in/x0.png, " in last
    assert last.endswith("in/x9.png and 2 more")


def test_what_exists_is_skipped_unless_wanted(place, capsys):
    write_png(place / "out/a.png", COLOR)
    assert upscale() == 0
    assert np.array_equal(result(place, "a.png"), COLOR)
    assert "upscaled 0 images; skipped 1 that exist (--overwrite writes them again)" in capsys.readouterr().out
    assert upscale("--overwrite") == 0
    assert result(place, "a.png").shape == (18, 24, 3)


def test_image_larger_than_memory_is_refused(place, monkeypatch, capsys):
    monkeypatch.setattr(command, "free_memory", lambda: 1000)
    assert upscale() == 1
    assert "12x9 upscaled 2x needs about 0.0 GB of memory, 0.0 GB are free" in capsys.readouterr().err


def test_tiles_that_became_smaller_are_said(place, monkeypatch, capsys):
    write_png(place / "in/a.png", numbers(150, 160, 3))
    monkeypatch.setattr(memory, "growth", lambda call: 10**6 * 128**2)
    assert upscale("--tile", "0") == 0
    assert "; from now on in tiles of 32, to fit into memory" in capsys.readouterr().out


def test_quality_reaches_the_file(place):
    write_png(place / "in/a.png", numbers(64, 64, 3) // 3)
    sizes = []
    for quality in ("10", "95"):
        assert upscale("--format", "webp", "--quality", quality, "--overwrite") == 0
        sizes.append((place / "out/a.webp").stat().st_size)
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-m", "none.pth"], 2, "none.pth does not exist"),
        (["-m", "in/a.png"], 2, "in/a.png is a PNG image, not a weights file"),
        (["-i", "nowhere"], 3, "-i: no such folder nowhere"),
        (["-o", "tiny.safetensors"], 2, "-o tiny.safetensors is a file: name a folder"),
        (["-o", "tiny.safetensors/x"], 7, "Cannot write to tiny.safetensors/x"),
    ],
)
def test_what_cannot_be_used_ends_with_its_code(place, capsys, arguments, code, said):
    assert upscale(*arguments) == code
    assert said in capsys.readouterr().err
    assert sorted(path.name for path in place.iterdir()) == ["in", "tiny.safetensors"]


def test_an_image_is_not_written_over(place, capsys):
    assert main(["upscale", "-m", "tiny.safetensors", "-i", "in", "-o", "in", "--cpu"]) == 1
    assert "would overwrite in/a.png, which is one of the images" in capsys.readouterr().err
    assert np.array_equal(read_image(place / "in/a.png"), COLOR)


@pytest.mark.parametrize("arguments", [["--quality", "101"], ["--tile", "-1"], ["--scale", "0"], ["--overlap", "x"]])
def test_numbers_out_of_range_are_refused(place, capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        upscale(*arguments)
    assert ended.value.code == 2
    assert "must be a whole number from" in capsys.readouterr().err
