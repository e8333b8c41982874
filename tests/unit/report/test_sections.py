from reportkit import event, write

from traiNNer.report.record import read_record
from traiNNer.report.sections import MOST_IMAGES, images, options


def recorded(folder, *entries):
    return read_record(write(folder, *entries))


def test_images_stand_worst_first_with_their_difference(tmp_path):
    sets = {"set": {"good": {"psnr": 33.0, "psnr_bicubic": 31.5}, "bad": {"psnr": 28.0, "psnr_bicubic": 29.0}}}
    validation = event("validation", 4, **{"val/set/psnr": 30.5})
    shown = images(recorded(tmp_path, validation, event("image_scores", 4, better={"psnr": "higher"}, sets=sets)))
    assert shown.index(">bad<") < shown.index(">good<")
    assert ">1.5<" in shown
    assert ">-1<" in shown


def test_of_many_images_both_ends_are_shown(tmp_path):
    many = {f"image{place:04}": {"psnr": 20 + place / 100} for place in range(2 * MOST_IMAGES + 50)}
    validation = event("validation", 4, **{"val/set/psnr": 30.5})
    shown = images(recorded(tmp_path, validation, event("image_scores", 4, sets={"set": many})))
    assert shown.count("image0") == 2 * MOST_IMAGES
    assert "image0120" not in shown


def test_what_was_asked_for_comes_before_the_defaults(tmp_path):
    shown = options(recorded(tmp_path, event("train", 1)))
    assert shown.index("train.total_iter") < shown.index("Defaults") < shown.index("train.losses[0].loss_weight")
