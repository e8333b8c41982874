import math

from traiNNer.engine.evaluation.best import BestScores


def noted(best, iteration, scores):
    """Note what improved, and return it."""
    better = best.improved(scores)
    for name in better:
        best.note(name, scores[name], iteration)
    return better


def test_each_metric_keeps_its_best_in_its_direction():
    best = BestScores({"psnr": "higher", "lpips": "lower"})
    assert noted(best, 10, {"psnr": 30.0, "lpips": 0.2}) == ["psnr", "lpips"]
    assert noted(best, 20, {"psnr": 31.0, "lpips": 0.3}) == ["psnr"]
    assert noted(best, 30, {"psnr": 31.0, "lpips": 0.1}) == ["lpips"]
    assert best.scores == {"psnr": (31.0, 20), "lpips": (0.1, 30)}


def test_nan_score_is_ignored():
    best = BestScores({"psnr": "higher"})
    assert noted(best, 10, {"psnr": math.nan}) == []
    assert noted(best, 20, {"psnr": 20.0}) == ["psnr"]
    assert noted(best, 30, {"psnr": math.nan}) == []


def test_scores_survive_a_resume():
    best = BestScores({"psnr": "higher"})
    noted(best, 10, {"psnr": 30.0})
    again = BestScores({"psnr": "higher"})
    again.load_state_dict(best.state_dict())
    assert noted(again, 20, {"psnr": 29.0}) == []
    assert again.scores == best.scores
