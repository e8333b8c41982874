import pytest
import torch

from traiNNer.engine.runtime.runtime import Runtime
from traiNNer.errors import ConfigError


def test_rank_0_works_for_all_and_its_errors_reach_all():
    runtime = Runtime(torch.device("cpu"), "")
    assert runtime.on_main(lambda: 3) == 3
    with pytest.raises(ConfigError, match="planted"):
        runtime.on_main(lambda: (_ for _ in ()).throw(ConfigError("planted")))
