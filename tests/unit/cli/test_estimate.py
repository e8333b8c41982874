"""Arguments of `trainner estimate`."""

from pathlib import Path

import pytest

from traiNNer.cli import estimate
from traiNNer.errors import ConfigError
from traiNNer.estimate import run as estimate_run
from traiNNer.estimate.run import EstimateOptions


def test_arguments_are_passed(monkeypatch, parsed):
    seen = []
    monkeypatch.setattr(estimate_run, "run_estimate", lambda options: seen.append(options) or 0)
    for arguments in ((), ("--most", "5", "-o", "r.yml")):
        args = parsed(estimate, "estimate", "--lq", "old", *arguments)
        assert args.run(args) == 0
    assert seen == [EstimateOptions(Path("old")), EstimateOptions(Path("old"), 5, Path("r.yml"))]


def test_nothing_cannot_be_inspected(parsed):
    args = parsed(estimate, "estimate", "--lq", "old", "--most", "0")
    with pytest.raises(ConfigError, match="--most must be 1 or more"):
        args.run(args)
