"""The page that a real run leaves behind."""

import json
import re
import shutil
import subprocess

import pytest
from runkit import record, run, workplace, write_options

from traiNNer.report.page import FILE, library

pytest.importorskip("plotly", reason="the report draws with plotly")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AUTOMATIONS = {"enabled": True, "AdaptiveGradientClipping": {"enabled": True, "monitoring_frequency": 2}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished run with decisions, and what it printed."""
    place = workplace(tmp_path_factory.mktemp("report"))
    train = {"total_iter": 40, "grad_clip": True, "training_automations": AUTOMATIONS}
    write_options(place, {"logger": {"report": True}, "train": train, "val": {"val_freq": 20}})
    result = run("train.py", "-opt", "options.yml", folder=place)
    assert result.code == 0, result.output
    return place, result.output


def test_a_run_ends_with_a_page_of_everything(finished):
    place, output = finished
    folder = place / "experiments/run"
    assert f"Report: experiments/run/{FILE}" in output.splitlines()[-4:]
    assert output.splitlines()[-1] == "finished: 40/40"
    text = (folder / FILE).read_text(encoding="utf-8")
    assert (folder / FILE).stat().st_size < 15e6
    decisions = [json.loads(line) for line in (folder / "decisions.jsonl").read_text().splitlines()]
    assert decisions
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', text)[1])
    for figure in figures:
        marks = [
            (at, said)
            for one in figure["data"]
            if one.get("yaxis") == "y9"
            for at, said in zip(one["x"], one["text"], strict=True)
        ]
        assert sorted(at for at, _ in marks) == sorted(one["iter"] for one in decisions)
        assert all(said.partition("<br>")[2] for _, said in marks)
    assert re.findall("<h3>(.*?)</h3>", text) == ["Losses", "psnr", "ssim", "Learning rate", "Gradient norm", "Pace"]
    assert "Finished after 40 iterations in" in text
    outside = re.sub(r"data:image/png;base64,[\w+/=]+", "", text.replace(library(), ""))
    assert not re.search(r"https?://|//[a-z]+\.", outside)
    assert text.count('type="range"') == 2  # two validation images: the worst and the best


def test_record_says_where_a_run_comes_from_and_scores_every_image(finished):
    entries = {entry["event"]: entry for entry in record(finished[0])}
    started = entries["run_started"]
    assert started["command"].endswith("train.py -opt options.yml")
    assert {"torch", "python", "device"} <= started["environment"].keys()
    scores = entries["image_scores"]["sets"]["val"]
    mean = sum(one["psnr"] for one in scores.values()) / len(scores)
    assert mean == pytest.approx(entries["validation"]["val/val/psnr"])


def test_a_report_that_cannot_be_written_is_one_warning(tmp_path):
    place = workplace(tmp_path)
    (place / "experiments/run" / FILE).mkdir(parents=True)
    write_options(place, {"logger": {"report": True}})
    result = run("train.py", "-opt", "options.yml", folder=place)
    assert result.code == 0
    assert [line for line in result.output.splitlines() if "report" in line.lower()] == [
        f"Warning: No report: Cannot write experiments/run/{FILE} (is a directory)."
    ]
    assert result.output.splitlines()[-1] == "finished: 12/12"


DIVERGING = """
from torch import Tensor, nn

from traiNNer.registry import LOSSES


@LOSSES.register()
class LostLoss(nn.Module):
    \"\"\"Not a number from the fourth call on.\"\"\"

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        self.count += 1
        return (output - target).abs().mean() * (float("nan") if self.count > 3 else 1.0)
"""


def test_a_run_that_diverged_has_a_page_that_says_so(tmp_path):
    place = workplace(tmp_path)
    (place / "lost.py").write_text(DIVERGING)
    train = {"losses": [{"type": "LostLoss"}], "max_nonfinite": 2}
    write_options(place, {"plugins": ["lost.py"], "logger": {"report": True}, "train": train})
    result = run("train.py", "-opt", "options.yml", folder=place)
    assert result.code == 5, result.output
    text = (place / "experiments/run" / FILE).read_text(encoding="utf-8")
    assert re.search(r'class="verdict bad">Not finished \(stopped: not finite at \d+/12', text)


def test_without_the_option_nothing_is_left(tmp_path):
    place = workplace(tmp_path)
    write_options(place)
    assert run("train.py", "-opt", "options.yml", folder=place).code == 0
    folder = place / "experiments/run"
    assert not (folder / FILE).exists()
    assert not (folder / "examples").exists()
    assert "image_scores" not in {entry["event"] for entry in record(place)}


PROBE = """
<script>
addEventListener("load", () => setTimeout(() => {
  const slider = document.querySelector("input[type=range]");
  slider.value = 80;
  slider.dispatchEvent(new Event("input"));
  const pair = document.querySelector(".pair");
  const wide = document.documentElement.scrollWidth > innerWidth;
  document.title = "SEEN " + JSON.stringify({
    curves: document.querySelectorAll(".plot .scatterlayer .trace path.js-line").length,
    plots: document.querySelectorAll(".plot").length,
    marks: document.querySelectorAll(".plot .points path").length,
    at: pair.style.getPropertyValue("--at"), clip: getComputedStyle(pair.querySelector(".before")).clipPath,
    wide: wide, requests: performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).length,
  });
}, 1500));
</script>
"""


@pytest.mark.nightly
@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [1280, 500])
def test_page_in_a_browser(finished, tmp_path, width):
    text = (finished[0] / "experiments/run" / FILE).read_text(encoding="utf-8")
    page = tmp_path / "probed.html"
    page.write_text(text.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    call = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"]
    call += ["--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900"]
    done = subprocess.run([*call, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    seen = json.loads(re.search(r"<title>SEEN (.*?)</title>", done.stdout)[1])
    assert seen["plots"] == 6
    assert seen["curves"] >= 10
    assert seen["marks"] >= 6
    assert seen["at"] == "80%"
    assert "20%" in seen["clip"]
    assert seen["requests"] == 0
    assert not seen["wide"]
