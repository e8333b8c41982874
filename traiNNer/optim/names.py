"""Which optimizers the installed torch has, read from its source: importing torch takes seconds."""

import ast
from importlib.util import find_spec
from pathlib import Path

REFUSED = {
    "LBFGS": "computes the loss several times per step, which a training iteration here does not; use AdamW",
    "SparseAdam": "is for sparse gradients, which networks for images do not have; use AdamW",
}
REPLACED = frozenset({"Muon"})
"""What is written here for convolutions, in place of torch's, which takes matrices only."""


def torch_optimizers() -> list[str]:
    """Return the names, in lower case, of every optimizer that `torch.optim` exports, the refused ones too."""
    torch = find_spec("torch")
    folders = torch.submodule_search_locations if torch is not None else None
    source = (Path(next(iter(folders or ()))) / "optim" / "__init__.py").read_text(encoding="utf-8")
    imported = [
        alias.name for node in ast.parse(source).body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    # The names of classes begin with a capital, those of modules and functions do not.
    return [name.lower() for name in imported if name[0].isupper() and name not in {"Optimizer", *REPLACED}]
