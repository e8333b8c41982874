"""Starting a run imports only what the run uses."""

import subprocess
import sys

HEAVY = ("torchvision", "skimage", "scipy", "lpips", "tensorboard", "PIL", "matplotlib", "pandas", "hypothesis")


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_command_line_imports_no_heavy_package():
    assert not loaded_after("import traiNNer.run.train") & set(HEAVY)


def test_package_import_does_not_import_torch():
    assert "torch" not in loaded_after("import traiNNer")
