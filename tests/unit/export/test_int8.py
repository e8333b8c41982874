import numpy as np
import pytest
import torch
from exportkit import traced
from imagekit import photo
from upscalekit import write_weights

from traiNNer.errors import DataError, NotExported
from traiNNer.export.int8 import SIDE, Calibration, write_int8
from traiNNer.export.source import open_source
from traiNNer.imaging.image_file import write_image
from traiNNer.utils.resize import imresize


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for number, size in enumerate([(96, 90), (65, 101)]):
        write_image(folder / f"{number}.png", photo(size=size, top=40 * number))
    (folder / "2.png").write_bytes(b"damaged")
    return folder


def test_inputs_are_the_images_shrunk(photos):
    found = Calibration(photos, 2, 1)
    assert len(found) == 2
    assert [target.shape for target in found.targets] == [(96, 90, 3), (64, 100, 3)]
    expected = torch.from_numpy(imresize(found.targets[1], 0.5)).permute(2, 0, 1) / 255
    torch.testing.assert_close(found.inputs[1][0], expected)


def test_large_images_are_cut_in_the_middle(tmp_path):
    image = np.zeros((4 * SIDE, 2 * SIDE + 3, 3), np.uint8)
    image[2 * SIDE] = 255
    write_image(tmp_path / "a.png", image)
    (target,) = Calibration(tmp_path, 2, 1).targets
    assert target.shape == (2 * SIDE, 2 * SIDE, 3)
    assert target[SIDE].min() == 255


def test_psnr_is_against_the_images(photos):
    found = Calibration(photos, 2, 1)
    wanted = iter(found.targets)
    assert found.psnr(lambda _: torch.from_numpy(next(wanted)).permute(2, 0, 1)[None] / 255) == 100
    wanted = iter(found.targets)
    off = found.psnr(lambda _: (torch.from_numpy(next(wanted)).permute(2, 0, 1)[None] / 255 - 10 / 255).abs())
    assert off == pytest.approx(20 * np.log10(25.5), abs=0.5)


@pytest.mark.parametrize(("name", "said"), [("none", "is not a folder"), ("empty", "holds no image that can be used")])
def test_folder_without_images_is_refused(tmp_path, name, said):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=said):
        Calibration(tmp_path / name, 2, 1)


def test_integers_are_written_and_their_loss_is_told(photos, tmp_path):
    onnx, _ = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    source = open_source(write_weights(tmp_path))
    whole = traced(source.released, tmp_path / "x.onnx")
    text = write_int8(source, whole, tmp_path / "q.onnx", Calibration(photos, 2, 1))
    assert text.startswith("int8 loses ")
    assert text.endswith("on 2 calibration images")
    stored = onnx.load(tmp_path / "q.onnx").graph.initializer
    assert any(tensor.data_type == onnx.TensorProto.INT8 for tensor in stored)
    scores = [float(word) for word in text.replace(":", "").split() if word.replace(".", "").lstrip("-").isdecimal()][
        :3
    ]
    assert scores[0] == pytest.approx(scores[2] - scores[1], abs=0.011)


def test_file_that_cannot_be_quantized_is_told(photos, tmp_path):
    pytest.importorskip("onnxruntime")
    source = open_source(write_weights(tmp_path))
    (tmp_path / "x.onnx").write_bytes(b"no network")
    with pytest.raises(NotExported, match="compact cannot be quantized"):
        write_int8(source, tmp_path / "x.onnx", tmp_path / "q.onnx", Calibration(photos, 2, 1))
