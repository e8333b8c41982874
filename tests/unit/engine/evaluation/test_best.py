import math

from traiNNer.engine.evaluation.best import BestScores


def test_each_metric_keeps_its_best_in_its_direction():
    best = BestScores({"psnr": "higher", "lpips": "lower"})
    assert best.update(10, {"psnr": 30.0, "lpips": 0.2}) == ["psnr", "lpips"]
    assert best.update(20, {"psnr": 31.0, "lpips": 0.3}) == ["psnr"]
    assert best.update(30, {"psnr": 31.0, "lpips": 0.1}) == ["lpips"]
    assert best.scores == {"psnr": (31.0, 20), "lpips": (0.1, 30)}


def test_nan_score_is_ignored():
    best = BestScores({"psnr": "higher"})
    assert best.update(10, {"psnr": math.nan}) == []
    assert best.update(20, {"psnr": 20.0}) == ["psnr"]
    assert best.update(30, {"psnr": math.nan}) == []


def test_scores_survive_a_resume():
    best = BestScores({"psnr": "higher"})
    best.update(10, {"psnr": 30.0})
    again = BestScores({"psnr": "higher"})
    again.load_state_dict(best.state_dict())
    assert again.update(20, {"psnr": 29.0}) == []
    assert again.scores == best.scores
