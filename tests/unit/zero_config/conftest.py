"""Small datasets of photo-like images, and a measuring process with fixed results."""

from dataclasses import replace
from pathlib import Path

import pytest
from imagekit import write_pairs

import traiNNer.run.automations  # noqa: F401 - registers every component
from traiNNer.cli import init
from traiNNer.measuring.measured import Comparison, Fit, Measured, Pace, Trials
from traiNNer.measuring.messages import Job
from traiNNer.zero_config import create

FOUND = Measured(
    start_s=4.0,
    fit=Fit(size=8, used=2 * 2**30, total=16 * 2**30),
    settings=(
        Comparison("plain memory format", {"use_channels_last": False}, 0.5, 0.0, False, "0.50 times as fast"),
        Comparison("bf16", {"use_amp": True, "amp_bf16": True}, 1.7, 0.0, True, "measured: 1.70 times as fast"),
    ),
    pace=Pace(workers=2, it_per_s=10.0, waiting=0.01, tried={0: 8.0, 2: 10.0}, trained=60, trained_s=6.0, decode_s=1.0,
              validation_s=2.0, first_validation_s=0.5, save_s=0.1),
)  # fmt: skip
TRIALS = Trials({2e-4: (20.0,), 4e-3: (25.0, 27.0), 8e-3: (26.0, 26.5)}, (20, 40), 40.0)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with hr/ and lr/ of twelve pairs, 2x, LQ 60x70."""
    write_pairs(tmp_path / "photos", 12, (60, 70), smooth=True)
    return tmp_path / "photos"


@pytest.fixture
def measured(monkeypatch) -> list[Job]:
    """Replace measuring by the results in `FOUND`; return the jobs it gets."""
    jobs = []

    def measure(job, say, limit_s):
        jobs.append(job)
        say("measuring")
        return replace(FOUND, trials=TRIALS if job.rates else None)

    monkeypatch.setattr(create, "measure", measure)
    for module in (create, init):
        monkeypatch.setattr(module, "perf_counter", lambda: 0.0)
    return jobs
