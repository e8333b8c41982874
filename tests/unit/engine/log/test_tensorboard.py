"""TensorBoard that fails costs one line, whenever and wherever it fails."""

import threading

import pytest

from traiNNer.engine.log.tensorboard import TensorBoard


def fail(*_, **__):
    raise OSError(28, "No space left on device")


def test_failing_write_is_one_line_and_ends_it(tmp_path, monkeypatch):
    told = []
    board = TensorBoard(tmp_path, 0, told.append)
    monkeypatch.setattr(board._writer, "add_scalar", fail)
    for step in range(3):
        board.add("add_scalar", "loss", 1.0, step)
    board.close()
    assert told == ["TensorBoard is off: no space left on device. Training continues."]


def test_failing_close_is_one_line(tmp_path, monkeypatch):
    told = []
    board = TensorBoard(tmp_path, 0, told.append)
    monkeypatch.setattr(board._writer, "close", fail)
    board.close()
    board.close()
    assert told == ["TensorBoard is off: no space left on device. Training continues."]


def test_its_thread_prints_no_traceback(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    told = []
    board = TensorBoard(tmp_path, 0, told.append)
    monkeypatch.setattr(board._writer.file_writer.event_writer._async_writer._writer, "write", fail)
    board.add("add_scalar", "loss", 1.0, 1)
    board.close()
    assert len(told) == 1
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("name", ["val/\udcff", "val/\x1b[31m"])
def test_names_of_any_bytes_are_written(tmp_path, name):
    told = []
    board = TensorBoard(tmp_path, 0, told.append)
    board.add("add_scalar", name, 1.0, 1)
    board.close()
    assert told == []
