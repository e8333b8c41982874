"""The degradations of Real-ESRGAN as traiNNer-redux writes them, translated to a recipe in the dataset section."""

from collections.abc import Mapping
from typing import Any

from traiNNer.config.tree import Node, Report, node_of
from traiNNer.registry import ARCHS, DATASETS, fold

MADE = ("realesrgandataset", "realesrganpaireddataset", "otfdataset")
"""Datasets that make LQ, by folded name."""
SWITCH = "high_order_degradation"
KEYS: Mapping[str, Any] = {
    "blur_prob": 0.0,
    "resize_prob": [0.2, 0.7, 0.1],
    "resize_mode_list": ["bilinear", "bicubic", "nearest-exact", "lanczos"],
    "resize_mode_prob": [0.25, 0.25, 0.25, 0.25],
    "resize_range": [0.4, 1.5],
    "gaussian_noise_prob": 0.0,
    "noise_range": [0, 0],
    "poisson_scale_range": [0, 0],
    "gray_noise_prob": 0.0,
    "jpeg_prob": 1.0,
    "jpeg_range": [75, 95],
}
KEYS_2: Mapping[str, Any] = {
    **{f"{key}2": value for key, value in KEYS.items()},
    "resize_prob2": [0.3, 0.4, 0.3],
    "resize_range2": [0.6, 1.2],
    "resize_mode_list3": KEYS["resize_mode_list"],
    "resize_mode_prob3": KEYS["resize_mode_prob"],
}
OTHERS: Mapping[str, Any] = {
    "thicklines_prob": 0.0,
    "lq_usm": False,
    "lq_usm_radius_range": [1, 25],
    "gt_usm": False,
    "dataroot_lq_prob": 0.0,
}
KERNELS: Mapping[str, Any] = {
    "kernel_list": ["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"],
    "kernel_prob": [0.45, 0.25, 0.12, 0.03, 0.12, 0.03],
    "kernel_range": [5, 17],
    "sinc_prob": 0.0,
    "blur_sigma": [0.2, 2],
    "betag_range": [0.5, 4],
    "betap_range": [1, 2],
}
KERNELS_2: Mapping[str, Any] = {f"{key}2": value for key, value in KERNELS.items()} | {"blur_sigma2": [0.2, 1]}
LAST: Mapping[str, Any] = {"final_sinc_prob": 0.0, "final_kernel_range": [5, 17]}
AT_TOP = {**KEYS, **KEYS_2, **OTHERS}
IN_DATASET = {**KERNELS, **KERNELS_2, **LAST}
"""What stands where, with what traiNNer-redux takes where a file leaves it out: most of it is off."""
FILTERS = {"nearest-exact": "nearest", "nearest": "nearest"}
USM_RADIUS = 25
"""Of the ground truth: a Gaussian of 51 pixels, as in Real-ESRGAN."""


def translate_degradations(root: Node, report: Report) -> None:
    """Write the keys of a dataset that makes LQ images as its `degradations`; other files stay as they are."""
    datasets = root.child("datasets")
    switch = root.child(SWITCH)
    if switch is not None and switch.value is False:
        return
    is_any = False
    for dataset in (datasets.entries() if datasets is not None else {}).values():
        kind = dataset.child("type")
        name = fold(kind.value) if kind is not None and isinstance(kind.value, str) else ""
        if kind is None or name not in MADE or name in DATASETS or "degradations" in dataset.entries():
            continue
        is_any = True
        _translate(root, dataset, kind, name == "realesrganpaireddataset", report)
    if is_any:
        for key in [SWITCH, *AT_TOP]:
            if node := root.value.pop(key, None):
                report.changed(node, "read as a part of degradations")


def _translate(root: Node, dataset: Node, kind: Node, is_paired: bool, report: Report) -> None:
    given: dict[str, Any] = {**AT_TOP, **IN_DATASET}
    given |= {key: node.plain() for key, node in root.entries().items() if key in AT_TOP}
    given |= {key: node.plain() for key, node in dataset.entries().items() if key in given}
    try:
        steps = recipe(given)
    except (TypeError, IndexError, KeyError):
        report.at(
            kind, "a degradation key of the file has a value of another kind: see docs/degradations.md for a recipe"
        )
        return
    for key in [key for key in dataset.entries() if key in given]:
        report.changed(dataset.value.pop(key), "read as a part of degradations")
    frames = _frames(root)
    new = "PairedImageDataset" if is_paired else "SingleGTDataset" if frames is None else "SingleVideoDataset"
    report.changed(kind, f"read as {new} with {len(steps)} degradations")
    kind.value = new
    if is_paired:
        share = given["dataroot_lq_prob"]
        known = isinstance(share, int | float) and not isinstance(share, bool)
        _put(dataset, "made_of_gt", 1 - share if known else share)
    elif (unused := dataset.value.pop("dataroot_lq", None)) is not None:
        report.changed(unused, "passed over; LQ is made of dataroot_gt")
    elif frames is not None:
        _put(dataset, "clip_size", frames)
    _put(dataset, "degradations", steps)


def _frames(root: Node) -> Any:
    """Return how many frames the network of a file sees at once, as the file has it; None for one of images."""
    network = root.at(("network_g", "type"))
    if network is None or not isinstance(network.value, str) or network.value not in ARCHS:
        return None
    option = ARCHS[network.value].traits.frames_option
    if not option:
        return None
    given = root.at(("network_g", option))
    return given.plain() if given is not None else ARCHS[network.value].options.model_fields[option].default


def _put(dataset: Node, key: str, value: Any) -> None:
    made = node_of(value, f"{dataset.key}.{key}", dataset.source)
    dataset.value[key] = _at_line(made, dataset.line)


def _at_line(node: Node, line: int | None) -> Node:
    below = node.value
    if isinstance(below, dict):
        below = {key: _at_line(child, line) for key, child in below.items()}
    elif isinstance(below, list):
        below = [_at_line(child, line) for child in below]
    return Node(below, line, node.key, node.source, node.text)


def recipe(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the steps that the keys stand for, in the order of Real-ESRGAN, without those that never happen."""
    steps = [
        {"type": "usm", "radius": [USM_RADIUS, USM_RADIUS], "target": True, "prob": float(bool(given["gt_usm"]))},
        {"type": "usm", "radius": given["lq_usm_radius_range"], "prob": float(bool(given["lq_usm"]))},
        {"type": "thicklines", "prob": given["thicklines_prob"]},
        *_order(given, ""),
        *_order(given, "2"),
        *_ending(given),
    ]
    return [step for step in steps if step.get("prob", 1) != 0]


def _order(given: Mapping[str, Any], order: str) -> list[dict[str, Any]]:
    """Return blur, resize, noise and, of the first order, JPEG."""
    ring = given[f"sinc_prob{order}"]
    weights = [weight * (1 - ring) for weight in given[f"kernel_prob{order}"]]
    steps = [
        {
            "type": "blur",
            "kernels": [*given[f"kernel_list{order}"], *(["sinc"] if ring else [])],
            "kernel_weights": [*weights, *([sum(given[f"kernel_prob{order}"]) * ring] if ring else [])],
            "size": given[f"kernel_range{order}"],
            "sigma": given[f"blur_sigma{order}"],
            "beta_generalized": given[f"betag_range{order}"],
            "beta_plateau": given[f"betap_range{order}"],
            "prob": given[f"blur_prob{order}"],
        },
        {
            "type": "resize",
            "factor": given[f"resize_range{order}"],
            "probs": given[f"resize_prob{order}"],
            **_filters(given, order),
            "of": "lq" if order else "now",
        },
        _noise(given, order),
    ]
    if not order:
        steps.append({"type": "jpeg", "quality": given["jpeg_range"], "prob": given["jpeg_prob"]})
    return steps


def _noise(given: Mapping[str, Any], order: str) -> dict[str, Any]:
    share = given[f"gaussian_noise_prob{order}"]
    return {
        "type": "noise",
        "kinds": ["gaussian", "poisson"],
        "kind_weights": [share, 1 - share],
        "sigma": given[f"noise_range{order}"],
        "poisson_scale": given[f"poisson_scale_range{order}"],
        "gray_prob": given[f"gray_noise_prob{order}"],
        "prob": float(_adds_noise(given, order)),
    }


def _adds_noise(given: Mapping[str, Any], order: str) -> bool:
    """Whether any noise has a width: templates switch it off with [0, 0]."""
    return any(given[f"{key}{order}"][1] > 0 for key in ("noise_range", "poisson_scale_range"))


def _ending(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the last steps: JPEG of the second order comes before or after the others, in half of the images each."""
    jpeg = {"type": "jpeg", "quality": given["jpeg_range2"], "prob": given["jpeg_prob2"] / 2, "either": "last"}
    sinc = {"type": "blur", "kernels": ["sinc"], "size": given["final_kernel_range"], "cutoff": [1.0471976, 3.1415927]}
    return [
        jpeg,
        {"type": "shrink", **_filters(given, "3")},
        {**sinc, "prob": given["final_sinc_prob"]},
        jpeg,
    ]


def _filters(given: Mapping[str, Any], order: str) -> dict[str, Any]:
    names = [FILTERS.get(name, name) for name in given[f"resize_mode_list{order}"]]
    return {"filters": names, "filter_weights": given[f"resize_mode_prob{order}"]}
