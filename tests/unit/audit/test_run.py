import shutil
from pathlib import Path

import numpy as np
import pytest
from imagekit import jpeg, numbers, photo, write_pairs, write_png

from traiNNer.audit import run as audit_run
from traiNNer.cli import main
from traiNNer.utils.resize import imresize


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Write 12 good pairs, 1 to 12, once."""
    folder = tmp_path_factory.mktemp("good")
    for number in range(1, 13):
        name = ("astronaut.png", "coffee.png", "motorcycle_left.png")[number % 3]
        gt = photo(name, (160, 160), 20 * number, 10 * number)
        write_png(folder / f"hr/{number}.png", gt)
        write_png(folder / f"lr/{number}.png", imresize(gt, 0.5))
    return folder


@pytest.fixture
def root(good, tmp_path, monkeypatch):
    """Copy the good pairs, and change to their folder."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(good, tmp_path, dirs_exist_ok=True))


def audit(capsys, *arguments):
    code = main(["audit", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_valid_dataset_is_described_and_exits_0(root, capsys):
    code, out, err = audit(capsys, "--gt", "hr", "--lq", "lr")
    assert (code, err) == (0, "")
    assert "12 pairs in hr and lr" in out
    assert "scale: 2x in all pairs" in out
    assert "HR width 160 px, height 160 px" in out
    assert "depth: 8 bit in 24 files" in out
    assert "images/s" in out
    assert "it takes about" in out
    assert "No problems found." in out


def test_hr_only(root, capsys):
    code, out, _ = audit(capsys, "--gt", "hr")
    assert code == 0
    assert "12 HR images in hr" in out
    assert "scale" not in out


def test_deep_names_the_kernel(root, capsys):
    code, out, _ = audit(capsys, "--gt", "hr", "--lq", "lr", "--deep")
    assert code == 0
    assert "LR made by: bicubic, antialiased in 12" in out
    assert "Decoded in" in out


def test_swapped_folders_print_the_right_command(root, capsys):
    (root / "my hr").mkdir()
    shutil.copytree("hr", "my hr", dirs_exist_ok=True)
    code, out, _ = audit(capsys, "--gt", "lr", "--lq", "my hr")
    assert code == 3
    assert "the folders are swapped" in out
    assert "Swapped, the command is: trainner audit --gt 'my hr' --lq lr" in out


def test_mixed_scales_are_counted(root, capsys):
    for number in (1, 2):
        write_png(root / f"lr/{number}.png", numbers(40, 40, 3))
    write_png(root / "lr/3.png", numbers(70, 80, 3))
    code, out, _ = audit(capsys, "--gt", "hr", "--lq", "lr")
    assert code == 3
    assert "scale: 2x in 9, 4x in 2, none that fits in 1" in out
    assert "1 (160x160 vs 40x40: 4x, most are 2x)" in out


def test_five_names_are_shown_and_the_others_counted(root, capsys):
    for number in range(1, 9):
        (root / f"lr/{number}.png").unlink()
    code, out, _ = audit(capsys, "--gt", "hr", "--lq", "lr")
    assert code == 3
    assert "8 │ images without a partner (training is refused)" in out
    assert [f"hr/{number}.png (no LR image)" in out for number in range(1, 9)] == [True] * 5 + [False] * 3
    assert "… and 3 more" in out


def test_one_image(root, capsys):
    write_pairs(root / "one", 1, (40, 50))
    code, out, _ = audit(capsys, "--gt", "one/hr", "--lq", "one/lr", "--deep")
    assert code == 3
    assert "one image only" in out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--gt", "none"], 3, "no such folder none"),
        (["--gt", "empty"], 3, "no images in empty"),
        (["--gt", "hr", "--lq", "empty"], 3, "no images in empty"),
        (["--gt", "hr", "--deep", "--against", "none"], 3, "--against: no such folder none"),
        (["--gt", "hr", "--deep", "--val-gt", "empty"], 3, "--val-gt has no images in empty"),
        (["--gt", "hr", "--against", "lr"], 2, "add --deep"),
        (["--gt", "hr", "--val-gt", "lr"], 2, "add --deep"),
        (["--gt", "hr", "-o", "x.txt"], 2, "add --fix list"),
    ],
)
def test_bad_input_gives_one_message(root, capsys, arguments, code, text):
    (root / "empty").mkdir()
    found, out, err = audit(capsys, *arguments)
    assert found == code
    assert text in err
    assert out == ""


def test_list_has_the_good_images_in_natural_order(root, capsys):
    (root / "lr/2.png").unlink()
    write_png(root / "lr/4.png", numbers(40, 40, 3))
    (root / "hr/5.png").write_bytes(b"")
    (root / "hr/sub").mkdir()
    (root / "lr/sub").mkdir()
    for part in ("hr", "lr"):
        shutil.move(root / part / "11.png", root / part / "sub/11.png")
        shutil.copy(root / part / "3.png", root / part / "copy.png")
    gt = photo("astronaut.png", (160, 160), 240, 120)
    write_png(root / "hr/12.png", np.dstack([gt, gt[:, :, 0]]))
    code, out, _ = audit(capsys, "--gt", "hr", "--lq", "lr", "--deep", "--fix", "list")
    assert code == 3
    assert "written: meta_info_hr.txt, 9 images" in out
    kept = (root / "meta_info_hr.txt").read_text()
    assert kept == "1.png\n3.png\n6.png\n7.png\n8.png\n9.png\n10.png\n12.png\nsub/11.png\n"


def test_copy_is_kept_when_its_original_is_excluded(root, capsys):
    gt = photo("chelsea.png", (240, 240))
    write_png(root / "photos/a.png", jpeg(gt, 40))
    write_png(root / "photos/b.png", gt)
    write_png(root / "photos/c.png", gt)
    for number in (1, 2):
        write_png(root / f"photos/{number}.png", photo("coffee.png", (240, 240), 0, 200 * number))
    code, _, _ = audit(capsys, "--gt", "photos", "--deep", "--fix", "list", "-o", "list.txt")
    assert code == 0
    assert (root / "list.txt").read_text() == "1.png\n2.png\nb.png\n"


def test_existing_list_is_refused_before_decoding(root, capsys, monkeypatch):
    (root / "mine.txt").write_text("mine")
    monkeypatch.setattr(audit_run, "look_deep", lambda *_, **__: pytest.fail("looked"))
    code, _, err = audit(capsys, "--gt", "hr", "--deep", "--fix", "list", "-o", "mine.txt")
    assert code == 7
    assert "mine.txt exists already: delete it, or name another file with -o." in err
    assert (root / "mine.txt").read_text() == "mine"


def test_list_is_written_atomically(root, capsys, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    code, _, err = audit(capsys, "--gt", "hr", "--fix", "list", "-o", "out/list.txt")
    assert code == 7
    assert "Cannot write out/list.txt (no space left on device)." in err
    assert list((root / "out").iterdir()) == []


def test_no_list_without_images(root, capsys):
    for path in (root / "lr").iterdir():
        path.write_bytes(b"")
    code, out, _ = audit(capsys, "--gt", "hr", "--lq", "lr", "--fix", "list")
    assert code == 3
    assert "not written: meta_info_hr.txt, as no image would be left" in out
    assert not (root / "meta_info_hr.txt").exists()


def test_overlap_with_validation_and_test_folders(root, capsys):
    write_png(root / "val/a.png", photo("coffee.png", (160, 160), 20, 10))
    for number in (2, 3):
        (root / f"test{number}").mkdir()
        shutil.copy(root / f"hr/{number}.png", root / f"test{number}/b.png")
    arguments = ["--deep", "--val-gt", "val", "--against", "test2", "--against", "test3"]
    code, out, _ = audit(capsys, "--gt", "hr", *arguments, "--fix", "list", "-o", "list.txt")
    assert code == 0
    for number, name in ((1, "a.png in val"), (2, "b.png in test2"), (3, "b.png in test3")):
        assert f"{number} (equal to {name})" in out
    assert (root / "list.txt").read_text().split("\n")[:2] == ["4.png", "5.png"]


@pytest.mark.parametrize(("arguments", "name"), [([], "audit_hr.html"), (["a/b.html"], "a/b.html")])
def test_contact_sheet_is_written(root, capsys, arguments, name):
    (root / "lr/2.png").unlink()
    code, out, _ = audit(capsys, "--gt", "hr", "--lq", "lr", "--html", *arguments)
    assert code == 3
    assert f"written: {name}" in out
    assert "images without a partner" in (root / name).read_text()


def test_names_with_markup_are_printed_literally(root, capsys):
    write_png(root / "hr/[red]x[/red].png", numbers(40, 40, 3))
    _, out, _ = audit(capsys, "--gt", "hr", "--lq", "lr")
    assert "[red]x[/red].png" in out
