import pytest

from traiNNer.utils.named_call import NamedCall

OFFERED = {"output": "", "target": "no truth", "lq": ""}
VALUES = {"output": 1, "target": 2, "lq": 3}


@pytest.mark.parametrize(
    ("function", "asked", "expected"),
    [
        (lambda output, target: (output, target), ("output", "target"), (1, 2)),
        (lambda target, output: (target, output), ("target", "output"), (2, 1)),
        (lambda lq, *, output: (lq, output), ("lq", "output"), (3, 1)),
        (lambda output: output, ("output",), 1),
        (lambda pred, gt: (pred, gt), ("output", "target"), (1, 2)),
        (lambda pred, target: (pred, target), ("output", "target"), (1, 2)),
        (lambda x, y, /: (x, y), ("output", "target"), (1, 2)),
        (lambda pred, gt, weight=None, **_: (pred, gt, weight), ("output", "target"), (1, 2, None)),
        (lambda pred, gt, lq=None: (pred, gt, lq), ("output", "target", "lq"), (1, 2, 3)),
        (lambda *images: images, ("output", "target"), (1, 2)),
        (lambda output, lq=7: (output, lq), ("output", "lq"), (1, 3)),
    ],
)
def test_function_gets_requested_arguments(function, asked, expected):
    call = NamedCall("it", function, OFFERED)
    assert call.asked == asked
    assert call(**VALUES) == expected


def test_parameter_without_a_value_keeps_its_default():
    call = NamedCall("it", lambda output, lq=7: (output, lq), OFFERED)
    assert call.required == ("output",)
    assert call(output=1, lq=None) == (1, None)
    assert call(output=1) == (1, 7)


def test_missing_required_value_is_reported_with_the_reason():
    with pytest.raises(ValueError, match="it asks for 'target', and there is none: no truth"):
        NamedCall("it", lambda pred, gt: 0, OFFERED)(output=1)


@pytest.mark.parametrize("function", [lambda image: 0, lambda output, target, mask: 0, lambda output, *, mask: 0])
def test_unknown_name_is_refused(function):
    # Two unknown parameters mean output and target; one or three are ambiguous.
    with pytest.raises(ValueError, match=r"it asks for '(image|mask)', which there is not   known: output, target, lq"):
        NamedCall("it", function, OFFERED)
