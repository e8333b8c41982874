"""A host with scripted automations, driven iteration by iteration."""

import io
from collections import defaultdict

import torch
from bookkit import Book
from enginekit import host_of, report_of

from traiNNer.engine.control.automation import Automation
from traiNNer.engine.control.events import RunStarted
from traiNNer.engine.control.knobs import Knobs, Range


class Scripted(Automation):
    """Answers events from `script[hook][iteration]`: a list of decisions or an exception."""

    every = 5

    def __init__(self, knob="lr_factor", bounds=None, **script):
        self.knob, self.bounds = knob, bounds or Range(0.1, 2.0)
        self.script = defaultdict(dict, script)
        self.windows, self.scores, self.changes = [], [], []

    def ranges(self, run):
        return {self.knob: self.bounds}

    def _answer(self, hook, iteration):
        answer = self.script[hook].get(iteration, [])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def on_start(self, run):
        return self._answer("start", run.iteration)

    def on_window(self, event):
        self.windows.append(event)
        return self._answer("window", event.iteration)

    def on_validation(self, event):
        self.scores.append(event.scores)
        return self._answer("validation", event.iteration)

    def on_failure(self, event):
        return self._answer(event.kind, event.iteration)

    def on_change(self, event):
        self.changes.append(event)
        self._answer("change", event.iteration)

    def summary(self):
        self._answer("summary", 0)
        return "scripted: fine"


def report(loss=0.5, norm=1.0, applied=True, reference=0.25):
    return report_of({"l1": float(loss)}, float(norm), applied, reference)


def host(*automations, **options):
    book = Book()
    names = {f"Automation{index or ''}": automation for index, automation in enumerate(automations)}
    about = {"metrics": {"val/psnr": "higher"}, "average_iter": options.pop("average_iter", 0.0)}
    run = RunStarted(10_000, 8, anchor="l1", base_lr=1e-4, **about)
    done = []
    built = host_of(
        names, run, Knobs(1.0, 8, ("l1",)), book, act=lambda decision: done.append(decision) or True, **options
    )
    built.start(0)
    return built, book, done


def drive(built, start, end, **values):
    for iteration in range(start, end + 1):
        built.after_step(iteration, report(**values))


def torch_round_trip(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


class Watching(Scripted):
    """Looks at the probe too."""

    def __init__(self, **script):
        super().__init__("grad_clip", Range(0.1, 10.0), **script)
        self.probes = []

    def on_probe(self, event):
        self.probes.append(event)
        return self._answer("probe", event.iteration)


class Ruler:
    """Counts how often it is asked; the errors are that number."""

    def __init__(self):
        self.asked = 0

    def held_out(self):
        self.asked += 1
        return [float(self.asked)] * 2, [0.5, 0.25]

    def training(self):
        return [0.125]


def live(built, start, end, **values):
    for iteration in range(start, end + 1):
        built.after_step(iteration, report(**values))
        built.after_iteration()
