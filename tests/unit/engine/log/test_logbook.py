import json
import time

import numpy as np
import pytest

from traiNNer.engine.log.logbook import Logbook, keep_until
from traiNNer.engine.run_folder import RunFolder


def folder(tmp_path) -> RunFolder:
    return RunFolder(tmp_path, *[tmp_path / n for n in ("models", "models", "training_states", "log", "visualization")])


def lines(path):
    """Return the lines of a record without their times."""
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    return [{key: value for key, value in entry.items() if key not in ("time", "seconds")} for entry in entries]


def test_record_has_the_time_of_every_line(tmp_path):
    before = time.time()
    book = Logbook(quiet=True)
    book.open(folder(tmp_path), use_tensorboard=False, start=0)
    for iteration in (1, 2):
        book.event("train", iteration, {})
    book.close()
    first, second = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert before - 0.01 <= first["time"] <= second["time"] <= time.time() + 0.01
    assert 0 <= first["seconds"] <= second["seconds"] <= time.time() - before + 0.02


def test_record_holds_flat_numbers_and_no_infinity(tmp_path):
    book = Logbook(quiet=True)
    book.open(folder(tmp_path), use_tensorboard=False, start=0)
    book.event("train", 5, {"loss/l1": 0.5, "lr": 1e-4})
    book.event("validation", 5, {"val/set/psnr": float("inf"), "val/set/ssim": float("nan")})
    book.finish("finished: 5/5", 0)
    book.close()
    assert lines(tmp_path / "metrics.jsonl") == [
        {"event": "train", "iter": 5, "loss/l1": 0.5, "lr": 1e-4},
        {"event": "validation", "iter": 5, "val/set/psnr": None, "val/set/ssim": None},
        {"event": "run_finished", "iter": 5, "reason": "finished: 5/5", "exit_code": 0},
    ]


def test_decisions_are_in_the_record_in_their_order(tmp_path):
    about = {"automation": "A", "knob": "lr_factor", "old": 1.0, "new": 0.5, "reason": "flat", "gain": float("nan")}
    book = Logbook(quiet=True)
    book.open(folder(tmp_path), use_tensorboard=False, start=0)
    book.event("train", 5, {"lr": 1e-4})
    book.decision(6, about)
    book.event("train", 10, {"lr": 5e-5})
    book.close()
    entry = {"event": "decision", "iter": 6, **about, "gain": None}
    assert [line for line in lines(tmp_path / "metrics.jsonl") if line["event"] == "decision"] == [entry]
    assert lines(tmp_path / "decisions.jsonl") == [entry]
    assert [line["iter"] for line in lines(tmp_path / "metrics.jsonl")] == [5, 6, 10]


def test_text_log_contains_earlier_messages(tmp_path):
    book = Logbook(quiet=True)
    book.warn("early")
    book.open(folder(tmp_path), use_tensorboard=False, start=0)
    book.info("later")
    book.close()
    (log,) = (tmp_path / "log").iterdir()
    assert [line.split(" ", 2)[2] for line in log.read_text().splitlines()] == ["Warning: early", "later"]


def test_resumed_log_continues_at_the_checkpoint(tmp_path):
    path = tmp_path / "metrics.jsonl"
    entries = [{"event": "train", "iter": i} for i in (1, 2, 3, 4)]
    path.write_text("".join(json.dumps(e) + "\n" for e in entries) + '{"event": "tra')
    keep_until(path, 2)
    assert [e["iter"] for e in lines(path)] == [1, 2]


def test_continued_run_has_not_finished(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"event": "train", "iter": 5}\n{"event": "run_finished", "iter": 5}\n')
    keep_until(path, 5)
    assert [e["event"] for e in lines(path)] == ["train"]


def test_tensorboard_has_no_duplicate_steps_after_resume(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for start, last in ((0, 4), (2, 4)):
        book = Logbook(quiet=True)
        book.open(folder(tmp_path), use_tensorboard=True, start=start)
        for iteration in range(start + 1, last + 1):
            book.event("train", iteration, {"loss/l1": iteration / 8, "note": "text"})
        book.image("val/set/a", np.zeros((4, 4, 3), np.uint8), last)
        book.close()
    events = EventAccumulator(str(tmp_path / "tb_logger"))
    events.Reload()
    assert events.Tags()["scalars"] == ["loss/l1"]
    assert events.Tags()["images"] == ["val/set/a"]
    assert [(e.step, e.value) for e in events.Scalars("loss/l1")] == [(i, i / 8) for i in range(1, 5)]


def test_failing_tensorboard_is_reported_once_and_disabled(tmp_path, capsys):
    (tmp_path / "tb_logger").write_text("a file where the folder should be")
    book = Logbook()
    book.open(folder(tmp_path), use_tensorboard=True, start=0)
    book.event("train", 1, {"loss": 1.0})
    book.event("train", 2, {"loss": 1.0})
    book.close()
    assert capsys.readouterr().out.count("TensorBoard is off") == 1
    assert len(lines(tmp_path / "metrics.jsonl")) == 2


def test_tensorboard_that_cannot_close_is_told_before_the_last_line(tmp_path, capsys, monkeypatch):
    def fail(_):
        raise OSError(28, "No space left on device")

    book = Logbook()
    book.open(folder(tmp_path), use_tensorboard=True, start=0)
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.close", fail)
    book.finish("finished: 4/4", 0)
    book.close()
    assert capsys.readouterr().out.splitlines() == [
        "Warning: TensorBoard is off: no space left on device. Training continues.",
        "finished: 4/4",
    ]


def test_failure_reports_the_iteration_reached(tmp_path, capsys):
    book = Logbook()
    book.open(folder(tmp_path), use_tensorboard=False, start=0)
    book.start_progress(600, 0)
    book.event("train", 100, {"lr": 1e-4})
    book.advance(135)
    book.finish("d/x.png is damaged", 3, "data that cannot be used")
    book.close()
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "d/x.png is damaged",
        "stopped: data that cannot be used at 135/600",
    ]
    assert lines(tmp_path / "metrics.jsonl")[-1]["iter"] == 135


def test_only_training_and_validation_make_curves(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    book = Logbook(quiet=True)
    book.open(folder(tmp_path), use_tensorboard=True, start=0)
    book.event("run_started", 0, {"seed": 3, "total_iter": 9})
    book.event("train", 5, {"loss/l1": 0.5})
    book.event("validation", 5, {"val/set/psnr": 30.0})
    book.image("val/set/x", np.zeros((4, 4, 3), np.uint8), 5)
    book.finish("finished: 9/9", 0)
    book.close()
    events = EventAccumulator(str(tmp_path / "tb_logger"))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["loss/l1", "val/set/psnr"]
    assert events.Tags()["images"] == ["val/set/x"]


class Full:
    """A file on a full disk, which may notice it only when it is closed, too."""

    name = "metrics.jsonl"

    def __init__(self, fails_to_close: bool) -> None:
        self.fails_to_close = fails_to_close

    def write(self, text):
        raise OSError(28, "No space left on device")

    def close(self):
        if self.fails_to_close:
            raise OSError(28, "No space left on device")


@pytest.mark.parametrize("fails_to_close", [False, True])
def test_disk_full_in_logs_is_reported_once_and_not_fatal(tmp_path, capsys, fails_to_close):
    book = Logbook()
    book.open(folder(tmp_path), use_tensorboard=False, start=0)
    book._metrics.close()
    book._metrics = Full(fails_to_close)
    for iteration in range(3):
        book.event("train", iteration, {"lr": 1.0})
    book.close()
    assert capsys.readouterr().out.count("could not write metrics.jsonl (no space left on device)") == 1


def test_other_ranks_only_report_why_they_failed(capsys):
    book = Logbook()
    book.speak_for(1)
    book.info("silent")
    book.finish("d/x.png is damaged", 3)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "rank 1: d/x.png is damaged\n"


def test_damaged_lines_of_a_record_are_left_out_and_counted(tmp_path):
    path = tmp_path / "metrics.jsonl"
    bad = [
        '{"event": "train", "Iter": 2}',
        "[" * 10_000,
        "5",
        '{"event": "train", "iter": "3"}',
        '{"event": 5, "iter": 3}',
    ]
    good = ['{"event": "train", "iter": 1}', '{"event": "note", "iter": 4, "text": "a\u2028b"}']
    path.write_text("\n".join([good[0], *bad, good[1], '{"event": "tra']), encoding="utf-8")
    (warning,) = keep_until(path, 9)
    assert warning.startswith(f"{path} is damaged in lines 2, 3, 4, 5, 6: left out.")
    assert path.read_text(encoding="utf-8").split("\n") == [*good, ""]
    assert keep_until(path, 9) == []


def test_record_of_names_that_are_no_unicode_is_kept(tmp_path):
    book = Logbook(quiet=True)
    book.open(folder(tmp_path), use_tensorboard=False, start=0)
    book.event("note", 1, {"image": "\udcff.png"})
    book.close()
    assert keep_until(tmp_path / "metrics.jsonl", 5) == []
    assert lines(tmp_path / "metrics.jsonl")[0]["image"] == "\udcff.png"
