import pytest

from traiNNer.measuring.advice import advice, table
from traiNNer.measuring.breakdown import PARTS, Breakdown
from traiNNer.measuring.limits import Limits


def breakdown_of(flops=1.0, **shares):
    """Return a breakdown of a second; what no part takes is backward."""
    parts = dict.fromkeys(PARTS, 0.0) | shares
    parts["backward"] += 1.0 - sum(shares.values())
    return Breakdown(parts, flops, {"update": 1e6}, Limits(2.0, 1e9), "CPU", 8, 3.0)


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        (
            {"data": 0.4, "validation": 0.3},
            "data is waited for 40% of the time; raise datasets.train.num_worker_per_gpu",
        ),
        ({"validation": 0.3}, "validation takes 30% of the time; raise val.val_freq above 4,"),
        ({"losses": 0.5}, "the losses take 50% of the time"),
        ({"update": 0.2, "EMA": 0.1}, "update, EMA and automations take 30% of the time, whatever the batch; raise"),
        ({"forward": 0.3, "flops": 0.1}, "the network takes 100% of the time at 5% of the device's arithmetic"),
        ({"forward": 0.3}, "Nothing to change: the network takes 100% of the time at 50% of the device's arithmetic"),
    ],
)
def test_largest_avoidable_part_is_named_first(options, shares, said):
    sentence = advice(breakdown_of(**shares), options)
    assert said in sentence
    assert sentence.count(". ") == (1 if "too small" in sentence else 0)


def test_table_has_every_part_its_share_and_its_limit():
    rows = table(breakdown_of(data=0.25, update=0.25))
    assert [row.split()[0] for row in rows[1 : len(PARTS) + 2]] == [*PARTS, "iteration"]
    assert rows[1].split() == ["data", "250.000", "25.0%"]
    assert next(row for row in rows if row.startswith("update")).split() == ["update", "250.000", "25.0%", "1.000"]
    assert "1.00 it/s, 8.0 images/s" in rows[len(PARTS) + 1]
    assert "GFLOP/s (a matrix product), 1.0 GB/s (a copy)" in rows[len(PARTS) + 2]
