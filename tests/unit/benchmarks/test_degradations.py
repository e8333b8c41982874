"""The benchmark of degradations runs and compares."""

from benchmarks.degradations import main, measure


def test_both_ways_are_measured(capsys):
    took = measure(crops=2, side=64, scale=4, device="cpu")
    assert set(took) == {"ours", "usual"}
    assert min(took.values()) > 0
    main(["--crops", "1", "--side", "32"])
    assert capsys.readouterr().out.count("crops/s") == 2
