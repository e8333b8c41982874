import os
import threading

import pytest

from traiNNer.imaging.decoder_messages import decoder_heard


def printed(text):
    with decoder_heard() as heard:
        os.write(2, text.encode())
    return heard


@pytest.mark.parametrize(
    ("line", "damage"),
    [
        ("Corrupt JPEG data: 1219 extraneous bytes before marker 0xd9", True),
        ("Corrupt JPEG data: premature end of data segment", True),
        ("Corrupt JPEG data: bad Huffman code", True),
        ("Premature end of JPEG file", True),
        ("Corrupt JPEG data: 2 extraneous bytes before marker 0xd9", False),
        ("Warning: unknown JFIF revision number 2.01", False),
        ("libpng warning: iCCP: known incorrect sRGB profile", False),
        ("TIFFFetchNormalTag: Defined set_get_field_type of custom tag 12", False),
        ("tempfile.tif: Warning, Nonstandard tile length 65, convert file.", False),
        ("tempfile.tif: Using code not yet in table.", True),
        ("Fax4Decode: Bad code word at line 27 of strip 0 (x 0).", True),
    ],
)
def test_known_lines_are_kept_from_the_terminal_and_judged(capfd, line, damage):
    heard = printed(f"{line}\n")
    assert heard.lines == [line]
    assert heard.damage == (line if damage else "")
    assert capfd.readouterr().err == ""


def test_place_in_the_source_of_the_decoder_is_left_out():
    line = "[ERROR:0@0.299] global grfmt_tiff.cpp:117 TIFF_Error LZWDecode: Not enough data at scanline 0"
    assert printed(f"{line}\n").damage == "LZWDecode: Not enough data at scanline 0"


def test_what_others_print_is_passed_through(capfd):
    assert printed("something else\nlibpng warning: x\n").lines == ["libpng warning: x"]
    assert capfd.readouterr().err == "something else\n"


def test_lines_of_two_threads_are_told_apart():
    heard = {}

    def one(name):
        for _ in range(50):
            heard.setdefault(name, []).append(printed(f"Corrupt JPEG data: {name}\n").damage)

    threads = [threading.Thread(target=one, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(set(found) == {f"Corrupt JPEG data: {name}"} for name, found in heard.items())


def test_error_while_decoding_gives_stderr_back(capfd):
    with pytest.raises(OSError, match="gone"), decoder_heard():
        raise OSError("gone")
    os.write(2, b"seen\n")
    assert capfd.readouterr().err == "seen\n"


def test_process_without_stderr(monkeypatch):
    def closed(_):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr("traiNNer.imaging.decoder_messages.os.dup", closed)
    with decoder_heard() as heard:
        pass
    assert heard.damage == ""
