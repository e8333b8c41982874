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


def resolved(name, seed, rate=0.001, extra=""):
    return f"""\
name: {name}  # file line 1
manual_seed: {seed}  # file line 2
train:
  optim_g:
    lr: {rate}  # file line 4
{extra}val:
  metrics:
    psnr:
      type: psnr  # file line 8
"""


def scored(root, name, seed=0, rate=0.001, scores=(30.0, 32.0), extra=""):
    images = {f"image{place}": {"psnr": score, "psnr_bicubic": 29.0} for place, score in enumerate(scores)}
    mean = sum(scores) / len(scores)
    return write(
        root / name,
        event("train", 40, lr=rate),
        event("validation", 40, **{"val/set/psnr": mean, "val/set/psnr_bicubic": 29.0}),
        event("image_scores", 40, better={"psnr": "higher"}, sets={"set": images}),
        resolved=resolved(name, seed, rate, extra),
    )
