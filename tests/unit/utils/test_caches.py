from traiNNer.utils import caches
from traiNNer.utils.caches import cache_folder


def test_folder_is_where_the_user_wants_caches(own_cache):
    assert cache_folder("headers") == own_cache / "trainner/headers"


def test_user_without_a_home_has_none(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(caches, "user_cache_path", lambda *_, **__: caches.Path("~/.cache/trainner"))
    assert cache_folder("headers") is None
