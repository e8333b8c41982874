"""Lines at the border, each with its own kernel, and their subtraction."""

import torch
import torch.nn.functional as F

from traiNNer.archs.paragonsr2.border import columns, corners, rows, take_off, two_lines


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape))).requires_grad_()


def test_lines_of_an_image():
    x = torch.arange(12).view(1, 1, 3, 4)
    assert rows(x).tolist() == [[[[0, 1, 2, 3], [8, 9, 10, 11]]]]
    assert columns(x).tolist() == [[[[0, 3], [4, 7], [8, 11]]]]
    assert corners(x).tolist() == [[[[0, 3], [8, 11]]]]
    assert corners(x[..., :2, :2]).tolist() == [[[[0, 1], [4, 5]]]]


def test_each_line_has_its_own_kernel():
    lines, kernels, constants = numbers(2, 3, 2, 6), numbers(2, 4, 3, 1, 5), numbers(2, 4)
    expected = [F.conv2d(lines[:, :, [at]], kernels[at], constants[at], padding=(0, 2)) for at in (0, 1)]
    torch.testing.assert_close(two_lines(lines, kernels, (0, 2), constants), torch.cat(expected, 2))
    turned = two_lines(lines.transpose(2, 3), kernels.transpose(3, 4), (2, 0), constants)
    torch.testing.assert_close(turned, torch.cat(expected, 2).transpose(2, 3))


def test_what_is_taken_off_counts_once_at_a_corner():
    parts = numbers(2, 3, 4, 5), numbers(2, 3, 2, 5), numbers(2, 3, 4, 2), numbers(2, 3, 2, 2)

    def off(output, *others):
        return take_off(output.clone(), *others)

    x, of_rows, of_columns, of_corners = parts
    expected = x.detach().clone()
    for row, line in ((0, 0), (3, 1)):
        for column in range(5):
            expected[:, :, row, column] -= of_rows[:, :, line, column]
    for column, line in ((0, 0), (4, 1)):
        for row in range(4):
            expected[:, :, row, column] -= of_columns[:, :, row, line]
    without = off(x, of_rows, of_columns)
    torch.testing.assert_close(without, expected)
    expected[:, :, [[0], [3]], [0, 4]] += of_corners
    torch.testing.assert_close(off(*parts), expected)
    assert torch.autograd.gradcheck(off, parts)
    assert torch.autograd.gradcheck(off, parts[:3])
