"""What a log line says of the losses of one or two networks."""

import pytest

from traiNNer.engine.log.progress import describe

PACE = {"lr": 1e-4, "it_per_s": 2.0, "data_wait": 0.0}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"loss/l1": 0.5}, "loss 0.5000  lr"),
        ({"loss/l1": 0.5, "loss/gan": 0.1, "loss/total": 0.6}, "loss 0.6000 (l1 0.5000, gan 0.1000)  lr"),
        ({"loss/gan": 0.5, "loss/net_d/real": 0.1}, "loss 0.5000 (gan 0.5000, net_d/real 0.1000)  lr"),
        ({"loss/net_d/real": 0.1}, "loss - (net_d/real 0.1000)  lr"),
        ({"loss/l1": 0.5, "net_d/accuracy": 0.75}, "loss 0.5000  net_d right 75%  lr"),
        ({}, "loss nan  lr"),
    ],
)
def test_loss_is_that_of_the_generator(values, text):
    assert describe(values | PACE, 5.0)[0].startswith(text)
