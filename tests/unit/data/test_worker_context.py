"""The queues and the event of data workers: nothing that a killed process can leave behind hangs another."""

import multiprocessing
import struct
import sys
import threading

import pytest

from traiNNer.data import worker_context
from traiNNer.data.worker_context import BROKEN, WorkerContext, receive

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows carry whole messages")
METHODS = [method for method in ("fork", "spawn") if method in multiprocessing.get_all_start_methods()]


@pytest.fixture
def pipe():
    """Return both ends of a pipe."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    yield reader, writer
    reader.close()
    writer.close()


@pytest.mark.parametrize("size", [0, 1, 4096, 20_000, 300_000])
def test_messages_arrive_as_they_were_sent(pipe, size):
    reader, writer = pipe
    messages = [bytes([number]) * size for number in range(3)]
    sender = threading.Thread(target=lambda: [writer.send_bytes(message) for message in messages])
    sender.start()
    assert [receive(reader) for _ in messages] == messages
    sender.join()


def test_frame_of_two_gigabytes_and_more_is_read(pipe):
    reader, writer = pipe
    writer._send(struct.pack("!iQ", -1, 3) + b"abc")
    assert receive(reader) == b"abc"


@pytest.mark.parametrize("part", [b"\0\0", struct.pack("!i", 9), struct.pack("!i", 9) + b"half"])
@pytest.mark.parametrize("is_closed", [False, True])
def test_message_that_breaks_off_is_an_error(pipe, monkeypatch, part, is_closed):
    monkeypatch.setattr(worker_context, "SILENCE_S", 0.05)
    reader, writer = pipe
    writer._send(part)
    if is_closed:
        writer.close()
    with pytest.raises(EOFError, match=BROKEN):
        receive(reader)


def answer(event, asked, answered):
    answered.put((asked.get(), event.is_set()))
    answered.put((asked.get(), event.is_set()))


@pytest.mark.parametrize("method", METHODS)
def test_event_and_queues_reach_another_process(method):
    context = WorkerContext(method)
    event, asked, answered = context.Event(), context.Queue(), context.Queue()
    process = context.Process(target=answer, args=(event, asked, answered))
    process.start()
    asked.put("before")
    assert answered.get(timeout=120) == ("before", False)
    event.set()
    assert event.is_set()
    asked.put("after")
    assert answered.get(timeout=120) == ("after", True)
    process.join()
