"""A plugin's loss that asks for more than output and target, in a real run."""

from runkit import record, run, workplace, write_options

LOSS = '''
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from traiNNer.registry import LOSSES


@LOSSES.register()
class AskingLoss(nn.Module):
    """Keeps the output near its LQ and its average, and counts."""

    def forward(self, lq: Tensor, output: Tensor, output_ema: Tensor, iteration: int) -> Tensor:
        assert not output_ema.requires_grad
        near = (avg_pool2d(output, 2) - lq).abs().mean() + (output - output_ema).abs().mean()
        return near * 0 + output.mean() * 0 + iteration
'''


def asking(folder, **train):
    (workplace(folder) / "asking.py").write_text(LOSS)
    losses = [{"type": "L1Loss"}, {"type": "AskingLoss"}]
    write_options(folder, {"plugins": ["asking.py"], "train": {"losses": losses, **train}})
    return run("train.py", "-opt", "options.yml", folder=folder)


def test_model_gets_lq_ema_and_iteration(tmp_path):
    result = asking(tmp_path, ema_decay=0.9)
    assert result.code == 0, result.output
    lines = [line for line in record(tmp_path) if "loss/askingloss" in line]
    ends = [line["iter"] for line in lines]
    # Each line is the mean over the iterations since the one before; the loss is the number of the iteration.
    means = [(before + 1 + end) / 2 for before, end in zip([0, *ends], ends, strict=False)]
    assert ends[-1] == 12
    assert [line["loss/askingloss"] for line in lines] == means


def test_option_requiring_ema_is_refused_without_ema(tmp_path):
    result = asking(tmp_path, ema_decay=0)
    assert result.code == 2, result.output
    assert "askingloss asks for 'output_ema', and there is none: set train.ema_decay above 0" in result.output
