import threading
import time

import numpy as np
import pytest

from traiNNer.engine.evaluation.ahead import ImageWriter, ReadAhead
from traiNNer.imaging.image_file import read_image


def test_results_come_in_order_and_are_read_by_one_thread_ahead_of_their_use():
    threads, begun = set(), []

    def read(place):
        threads.add(threading.current_thread())
        begun.append(place)
        return place * 10

    with ReadAhead(read, [3, 1, 2, 5, 4], ahead=2) as images:
        assert images.take() == 30
        deadline = time.monotonic() + 5
        while len(begun) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert begun == [3, 1, 2]  # two beyond the one that was taken, and no more
        assert [images.take() for _ in range(4)] == [10, 20, 50, 40]
    assert threads.isdisjoint({threading.main_thread()})
    assert len(threads) == 1


def test_error_of_a_read_comes_with_its_result_and_ends_the_reading():
    begun = []

    def read(place):
        begun.append(place)
        if place == 1:
            raise ValueError("damaged")
        return place

    with ReadAhead(read, range(9)) as images:
        assert images.take() == 0
        with pytest.raises(ValueError, match="damaged"):
            images.take()
    assert begun == [0, 1]


def test_nothing_is_read_after_the_block():
    begun, release = [], threading.Event()

    def read(place):
        begun.append(place)
        release.wait(5)
        return place

    with ReadAhead(read, range(9)):
        while not begun:
            time.sleep(0.001)
    release.set()
    time.sleep(0.05)
    assert begun == [0]


def test_files_are_complete_when_the_block_is_left_and_errors_name_theirs(tmp_path):
    random = np.random.default_rng(0)
    images = {tmp_path / f"{n}.png": random.integers(0, 256, (40, 30, 3), np.uint8) for n in range(12)}
    (tmp_path / "file").write_text("no folder")
    with ImageWriter() as writer:
        for path, image in images.items():
            writer.write(path, image)
        writer.write(tmp_path / "file" / "x.png", image)
    assert all(np.array_equal(read_image(path), image) for path, image in images.items())
    ((path, error),) = writer.failed
    assert path == tmp_path / "file" / "x.png"
    assert isinstance(error, OSError)
