"""Where the system keeps what can be found out again: `~/.cache` on Linux, `AppData` on Windows, `Library` on macOS."""

from pathlib import Path

from platformdirs import user_cache_path


def cache_folder(name: str) -> Path | None:
    """Return a folder of ours for caches of this name; None for a user without a home, as containers have them."""
    try:
        base = user_cache_path("trainner", appauthor=False)
    except RuntimeError:
        return None
    return base / name if base.is_absolute() else None
