import hashlib
import pickle
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from traiNNer.errors import ConfigError
from traiNNer.utils.pretrained import CONNECT_TIMEOUT_S, cached_weights, read_weights


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_cached_file_is_used_offline(hub, monkeypatch):
    monkeypatch.setattr(torch.hub, "urlopen", lambda *_: pytest.fail("asked the network"))
    (hub / "net-1234abcd.pth").write_bytes(b"x")
    assert cached_weights("https://example.org/a/net-1234abcd.pth", "test") == hub / "net-1234abcd.pth"


@pytest.mark.parametrize("error", [URLError("no route"), TimeoutError("timed out")])
def test_offline_names_file_place_and_option(hub, monkeypatch, error):
    import socket

    timeouts = []

    def fail(*_, **__):
        timeouts.append(socket.getdefaulttimeout())
        raise error

    monkeypatch.setattr(torch.hub, "urlopen", fail)
    with pytest.raises(ConfigError) as caught:
        cached_weights("https://example.org/a/net-1234abcd.pth", "PerceptualLoss")
    assert caught.value.exit_code == 2
    for text in ("PerceptualLoss", "net-1234abcd.pth", str(hub), "weights: path", "https://example.org/a"):
        assert text in str(caught.value)
    assert timeouts == [CONNECT_TIMEOUT_S]
    assert socket.getdefaulttimeout() is None
    assert list(hub.iterdir()) == []


def test_download_is_checked_against_the_hash_in_its_name(hub, tmp_path):
    content = tmp_path / "content"
    content.write_bytes(b"weights")
    right = hashlib.sha256(b"weights").hexdigest()[:8]
    for digest in (right, "00000000"):
        (tmp_path / f"net-{digest}.pth").write_bytes(b"weights")
    assert cached_weights((tmp_path / f"net-{right}.pth").as_uri(), "test").read_bytes() == b"weights"
    with pytest.raises(ConfigError, match="hash"):
        cached_weights((tmp_path / "net-00000000.pth").as_uri(), "test")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_reads_both_formats(tmp_path, suffix):
    state = {"a.weight": torch.arange(6.0).view(2, 3)}
    path = tmp_path / f"w{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    assert torch.equal(read_weights(path, "test")["a.weight"], state["a.weight"])


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("code in a weights file was run",))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty.pth", "is empty"),
        ("empty.safetensors", "is empty"),
        ("text.pth", "is text, not a weights file"),
        ("text.safetensors", "is text, not a weights file"),
        ("cut.pth", "is cut off"),
        ("evil.pth", r"contains code \(_pytest"),
    ],
)
def test_damaged_files_are_an_option_error(tmp_path, name, words):
    path = tmp_path / name
    content = {"empty": b"", "text": b"hello, I am not a file of weights", "evil": pickle.dumps(Evil())}.get(path.stem)
    if content is None:
        torch.save({"a": torch.zeros(1000)}, path)
        content = path.read_bytes()[:2000]
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=words) as caught:
        read_weights(path, "test")
    assert str(path) in str(caught.value)


def test_missing_file_and_wrong_content(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        read_weights(tmp_path / "none.pth", "test")
    torch.save({"params": {"a": torch.zeros(1)}}, tmp_path / "nested.pth")
    with pytest.raises(ConfigError, match="not a plain state dict"):
        read_weights(tmp_path / "nested.pth", "test")
    torch.save({"a": torch.tensor([1.0, float("inf")])}, tmp_path / "inf.pth")
    with pytest.raises(ConfigError, match=r"inf\.pth: a has a value that is not finite"):
        read_weights(tmp_path / "inf.pth", "test")
