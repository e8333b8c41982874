"""What a run came to, in one sentence."""

from dataclasses import dataclass
from typing import Literal

from traiNNer.report.record import Record
from traiNNer.utils.durations import duration

Tone = Literal["good", "bad", "open"]


@dataclass(frozen=True)
class Score:
    """The last score on a set, that of bicubic upscaling, and the best one with its iteration."""

    metric: str
    set_name: str
    last: float
    bicubic: float | None
    best: float
    best_at: int
    is_lower_better: bool = False

    @property
    def gain(self) -> float | None:
        """How much better than bicubic upscaling the last score is."""
        if self.bicubic is None:
            return None
        return (self.bicubic - self.last) if self.is_lower_better else (self.last - self.bicubic)


@dataclass(frozen=True)
class Verdict:
    """A sentence, and whether it is good news; `open` where the record does not tell."""

    text: str
    tone: Tone


def verdict(record: Record, ended: str | None = None) -> Verdict:
    """Say in one sentence how a run went; `ended` is how it ended, where the record does not say so yet."""
    how, is_ended_well = _ending(record, ended)
    scores = scores_of(record)
    took = f" in {duration(record.seconds)}" if record.seconds else ""
    if not scores:
        quality, tone = "there was no validation, so nothing is known about its quality", "open"
    else:
        quality, tone = _quality(scores[0])
    if not is_ended_well:
        tone = "bad" if is_ended_well is False else "open"
    return Verdict(f"{how}{took}: {quality}.", tone)


def scores_of(record: Record) -> list[Score]:
    """Return the scores of every metric and set, the main metric first."""
    found = []
    for metric in record.metrics:
        for name in record.sets:
            key = f"val/{name}/{metric}"
            curve, bicubic = record.curve("validation", key), record.curve("validation", f"{key}_bicubic")
            if not curve:
                continue
            is_lower = record.is_lower_better(metric)
            at, best = (min if is_lower else max)(curve, key=lambda point: point[1])
            reference = bicubic[-1][1] if bicubic else None
            found.append(Score(metric, name, curve[-1][1], reference, best, at, is_lower))
    return found


def shown(value: float, score: float | None = None) -> str:
    """Return a score, or a difference of `score`, with digits that mean something: two of a PSNR, four around 1."""
    return f"{value:.{2 if abs(value if score is None else score) >= 2 else 4}f}"


def _ending(record: Record, ended: str | None) -> tuple[str, bool | None]:
    """Return how a run ended, and whether well; None where it is not over."""
    last = record.last("run_finished")
    if ended is None and last and last["iter"] >= record.iteration:
        if last.get("exit_code"):
            return f"Not finished ({str(last.get('reason')).splitlines()[-1]})", False
        ended = str(last.get("reason"))
    if ended is None:
        return f"At iteration {record.iteration:,} of {record.total:,}, not finished", None
    if not ended.startswith("finished"):
        return f"Not finished ({ended.splitlines()[-1]})", False
    early = f" ({ended.split('(', 1)[1]}" if "(stopped early" in ended else ""
    return f"Finished after {record.iteration:,} iterations{early}", True


def _quality(score: Score) -> tuple[str, Tone]:
    text = f"{score.metric} {shown(score.last)} on {score.set_name}"
    at = f", best {shown(score.best)} at {score.best_at:,}" if shown(score.best) != shown(score.last) else ""
    if score.gain is None:
        return text + at, "open"
    way = "better" if score.gain > 0 else "worse"
    if score.gain == 0:
        return f"{text}, just like bicubic upscaling{at}", "open"
    return (
        f"{text}, {shown(abs(score.gain), score.last)} {way} than bicubic upscaling{at}",
        "good" if score.gain > 0 else "bad",
    )
