"""Small datasets of photo-like images."""

from pathlib import Path

import pytest
from imagekit import write_pairs


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with hr/ and lr/ of twelve pairs, 2x, LQ 60x70."""
    write_pairs(tmp_path / "photos", 12, (60, 70), smooth=True)
    return tmp_path / "photos"
