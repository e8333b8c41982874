import pytest
from reportkit import event, write

from traiNNer.report.record import read_record
from traiNNer.report.verdict import scores_of, verdict

ONE_METRIC = "name: run  # file line 1\n"


def validated(iteration, psnr, bicubic=30.0):
    return event("validation", iteration, **{"val/set/psnr": psnr, "val/set/psnr_bicubic": bicubic})


def judged(folder, *entries, ended=None):
    found = verdict(read_record(write(folder, *entries, resolved=ONE_METRIC)), ended)
    return found.text, found.tone


DONE = event("run_finished", 40, reason="finished: 40/40", exit_code=0)


@pytest.mark.parametrize(
    ("entries", "text", "tone"),
    [
        (
            [validated(20, 32.4), validated(40, 32.0), DONE],
            "Finished after 40 iterations: psnr 32.00 on set, 2.00 better than bicubic upscaling, best 32.40 at 20.",
            "good",
        ),
        (
            [validated(40, 29.5), DONE],
            "Finished after 40 iterations: psnr 29.50 on set, 0.50 worse than bicubic upscaling.",
            "bad",
        ),
        ([event("train", 40, lr=1), DONE], "nothing is known about its quality.", "open"),
        ([validated(20, 32.4)], "At iteration 20 of 20, not finished: psnr 32.40 on set, 2.40 better", "open"),
        (
            [validated(20, 32.4), event("run_finished", 20, reason="x\nstopped: not finite at 20/40", exit_code=5)],
            "Not finished (stopped: not finite at 20/40): psnr 32.40",
            "bad",
        ),
        ([validated(40, 32.4, None), DONE], "Finished after 40 iterations: psnr 32.40 on set.", "open"),
    ],
)
def test_one_sentence_says_how_it_went(tmp_path, entries, text, tone):
    said = judged(tmp_path, *entries)
    assert text in said[0]
    assert said[0].count("\n") == 0
    assert said[1] == tone


def test_an_end_that_is_not_recorded_yet_is_given(tmp_path):
    ended = "finished: 40/80 (stopped early: no progress)"
    said, tone = judged(tmp_path, validated(40, 32.0), ended=ended)
    assert said.startswith("Finished after 40 iterations (stopped early: no progress): psnr 32.00")
    assert tone == "good"


def test_an_old_end_before_a_resume_does_not_count(tmp_path):
    entries = [event("run_finished", 10, reason="Interrupted", exit_code=130), validated(20, 32.0)]
    assert judged(tmp_path, *entries)[0].startswith("At iteration 20 of 20, not finished")


def test_a_smaller_score_is_better_where_the_run_says_so(tmp_path):
    scores = {"val/set/lpips": 0.2, "val/set/lpips_bicubic": 0.5}
    better = event("image_scores", 40, better={"lpips": "lower"}, sets={})
    record = read_record(write(tmp_path, event("validation", 40, **scores), better, DONE, resolved=ONE_METRIC))
    (score,) = scores_of(record)
    assert score.gain == pytest.approx(0.3)
    assert verdict(record).tone == "good"
