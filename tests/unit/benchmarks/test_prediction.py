import numpy as np
import pytest

from benchmarks.prediction import ERROR_PER_FOLD, SHARES, calibrated, cases, inside, report
from traiNNer.engine.control.host import PROBE_EVERY


@pytest.mark.parametrize("period", [0, PROBE_EVERY])
def test_nine_in_ten_stored_runs_end_within_the_shipped_interval(period):
    found = list(cases(period))
    assert len(found) > 60
    assert 0.86 <= np.mean([inside(case, ERROR_PER_FOLD) for case in found]) <= 0.94
    assert calibrated(found) == pytest.approx(ERROR_PER_FOLD, abs=0.15)


def test_table_has_a_row_for_every_share():
    some = [case for case in cases() if "small" in case.kind and case.share != SHARES[0]]
    rows = report(some).splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:-1]] == ["50%", "75%", "all"]
    assert f"| {len(some)} |" in rows[-2]
