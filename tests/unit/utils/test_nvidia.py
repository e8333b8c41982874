import pytest

from traiNNer.utils import nvidia
from traiNNer.utils.nvidia import cards_and_driver, install_line


@pytest.mark.parametrize(
    ("driver", "build"), [("580.65", "cu130"), ("572.16", "cu128"), ("525.60.13", "cu128"), ("600", "cu130")]
)
def test_line_names_the_newest_torch_that_the_driver_runs(driver, build):
    line = f"pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/{build}"
    assert install_line(driver) == line


@pytest.mark.parametrize("driver", ["470.57.02", "", "[N/A]"])
def test_driver_that_is_too_old_has_no_line(driver):
    assert install_line(driver) is None


def test_machine_without_a_driver_has_no_cards(monkeypatch):
    monkeypatch.setattr(nvidia.shutil, "which", lambda _: None)
    assert cards_and_driver() is None
