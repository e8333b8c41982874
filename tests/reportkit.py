"""Folders of runs, written by hand, for the tests of reports."""

import json

RESOLVED = """\
name: run  # file line 1
scale: 2  # --set
note: "a  # b"  # default
train:
  total_iter: 40  # file line 3
  losses:
    - type: l1loss  # file line 5
      loss_weight: 1.0  # default
val:
  metrics:
    ssim:
      type: ssim  # file line 7
    psnr:
      type: psnr  # file line 8
"""


def write(folder, *entries, resolved=RESOLVED):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(entry)}\n" for entry in entries), encoding="utf-8")
    (folder / "resolved.yml").write_text(resolved, encoding="utf-8")
    return folder


def event(kind, iteration, **values):
    return {"event": kind, "iter": iteration, **values}
