"""Puts the option files into the wheel, as `traiNNer/options`; everything else is in pyproject.toml."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class WithOptions(build_py):
    """In a checkout the option files lie where users look for them; an installation has them inside the package."""

    def run(self) -> None:
        """Build as always, then add them; a development install reads those of the checkout."""
        super().run()
        if not self.editable_mode:
            copytree("options", Path(self.build_lib) / "traiNNer/options", dirs_exist_ok=True)


setup(cmdclass={"build_py": WithOptions})
