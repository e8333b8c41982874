from pathlib import Path

import pytest
from imagekit import numbers, write_png

from traiNNer.errors import ConfigError, DataError
from traiNNer.upscaling.places import Job, plan_jobs, reason_against

IMAGE = numbers(4, 4, 3)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Return a folder of images, which is `photos` of the working folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "sub/b.png", "sub/deep/c.png"):
        write_png(tmp_path / "photos" / name, IMAGE)
    (tmp_path / "photos/notes.txt").write_text("x")
    return Path("photos")


def targets(*inputs, output="out", wanted=None):
    return {job.source.as_posix(): job.target.as_posix() for job in plan_jobs(inputs, Path(output), wanted).jobs}


def test_folder_keeps_its_tree(photos):
    assert targets("photos", wanted="jpeg") == {
        "photos/a.png": "out/a.jpg",
        "photos/sub/b.png": "out/sub/b.jpg",
        "photos/sub/deep/c.png": "out/sub/deep/c.jpg",
    }


def test_pattern_keeps_the_tree_below_its_first_star(photos):
    assert targets("photos/sub/**/*.*") == {
        "photos/sub/b.png": "out/b.png",
        "photos/sub/deep/c.png": "out/deep/c.png",
    }
    assert targets("photos/*") == {"photos/a.png": "out/a.png"}


def test_file_goes_into_a_folder_or_to_a_file(photos):
    assert targets("photos/a.png") == {"photos/a.png": "out/a.png"}
    plan = plan_jobs(["photos/a.png"], Path("new/large.webp"), None)
    assert plan.jobs == (Job(Path("photos/a.png"), Path("new/large.webp")),)
    assert (plan.folder, plan.format) == (Path("new"), "webp")


def test_several_inputs_go_into_one_folder(photos):
    assert list(targets("photos/a.png", "photos/sub")) == ["photos/a.png", "photos/sub/b.png", "photos/sub/deep/c.png"]


def test_results_in_a_folder_of_the_input_are_no_input(photos):
    write_png(Path("photos/large/a.png"), IMAGE)
    assert "photos/large/a.png" not in targets("photos", output="photos/large")
    assert "photos/large/a.png" in targets("photos", output="elsewhere")


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (["nothing"], "-i: no such folder nothing"),
        (["photos/*.tif"], r"-i photos/\*\.tif matches no images"),
        (["empty"], "-i has no images in empty"),
        (["photos/*/../../outside/*.png"], "would lie outside of out"),
        (["photos/a.png", "a.png"], "would both be written to out/a.png: rename one"),
    ],
)
def test_inputs_that_cannot_be_used_are_named(photos, inputs, said):
    Path("empty").mkdir()
    write_png(Path("outside/x.png"), IMAGE)
    write_png(Path("a.png"), IMAGE)
    with pytest.raises(DataError, match=said):
        plan_jobs(inputs, Path("out"), None)


def test_output_and_format_that_differ_are_refused(photos):
    with pytest.raises(ConfigError, match="does not fit --format jpeg"):
        plan_jobs(["photos/a.png"], Path("x.png"), "jpeg")
    with pytest.raises(ConfigError, match="is a file: name a folder"):
        plan_jobs(["photos"], Path("photos/a.png"), None)
    with pytest.raises(ConfigError, match=r"-o x\.png takes one image: name a folder"):
        plan_jobs(["photos"], Path("x.png"), None)
    with pytest.raises(ConfigError, match=r"-o x\.gif cannot be written; endings: \.png, \.tif"):
        plan_jobs(["photos/a.png"], Path("x.gif"), None)


def test_an_input_is_never_written_over(photos):
    plan = plan_jobs(["photos"], photos, None)
    assert "would overwrite photos/a.png" in reason_against(plan.jobs[0], plan)
    other = plan_jobs(["photos"], Path("out"), None)
    assert reason_against(other.jobs[0], other) == ""


def test_link_that_leaves_the_output_folder_is_not_followed(photos):
    Path("out").mkdir()
    Path("elsewhere").mkdir()
    Path("out/sub").symlink_to(Path("elsewhere").absolute())
    plan = plan_jobs(["photos"], Path("out"), None)
    reasons = {job.source.as_posix(): reason_against(job, plan) for job in plan.jobs}
    assert reasons["photos/a.png"] == ""
    assert "is a link that leaves out" in reasons["photos/sub/b.png"]
    assert "is a link that leaves out" in reasons["photos/sub/deep/c.png"]
