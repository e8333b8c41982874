import tomllib

import torch
from runkit import REPOSITORY

from traiNNer.utils.distribution import DISTRIBUTION, version_of


def test_name_is_that_of_the_package_that_is_built():
    assert tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["name"] == DISTRIBUTION


def test_versions_are_those_installed():
    assert version_of("torch") == torch.__version__.partition("+")[0]
    assert version_of("no-such-package") is None
