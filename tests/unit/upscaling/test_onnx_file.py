from pathlib import Path

import pytest

from traiNNer.errors import ConfigError
from traiNNer.upscaling import onnx_file
from traiNNer.upscaling.onnx_file import check_onnx_file, require

onnx = pytest.importorskip("onnx")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT


def outside(location, name="w"):
    tensor = onnx.TensorProto(name=name, data_type=FLOAT, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


def model_of(nodes, initializers=(), sparse=(), functions=()):
    value = helper.make_tensor_value_info("x", FLOAT, [1])
    graph = helper.make_graph(nodes, "g", [value], [helper.make_tensor_value_info("y", FLOAT, [1])], initializers)
    graph.sparse_initializer.extend(sparse)
    return helper.make_model(graph, functions=list(functions))


def write(folder: Path, model) -> Path:
    path = folder / "x.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def identity(domain=""):
    return helper.make_node("Identity", ["x"], ["y"], domain=domain)


def inner(node=None, initializers=()):
    """Return a branch of an `If`."""
    value = helper.make_tensor_value_info("y", FLOAT, [1])
    return helper.make_graph([node or identity()], "inner", [], [value], initializers)


def branching(**parts):
    return helper.make_node("If", ["x"], ["y"], then_branch=inner(**parts), else_branch=inner())


def test_ordinary_file_passes(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(bytes(4))
    check_onnx_file(write(tmp_path, model_of([identity(), branching()], [outside("data/w.bin")])))


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "data/../../w.bin", "link/w.bin"])
@pytest.mark.parametrize("hidden", ["initializer", "constant", "branch", "sparse", "function"])
def test_data_outside_the_folder_is_never_read(tmp_path, location, hidden):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "data").mkdir()
    (folder / "link").symlink_to(tmp_path)
    (tmp_path / "w.bin").write_bytes(bytes(4))
    tensor = outside(location)
    constant = helper.make_node("Constant", [], ["y"], value=tensor)
    sparse = onnx.SparseTensorProto(values=tensor, dims=[1])
    function = helper.make_function("own", "F", ["a"], ["y"], [constant], [helper.make_opsetid("", 18)])
    models = {
        "initializer": lambda: model_of([identity()], [tensor]),
        "constant": lambda: model_of([constant]),
        "branch": lambda: model_of([branching(initializers=[tensor])]),
        "sparse": lambda: model_of([identity()], sparse=[sparse]),
        "function": lambda: model_of([helper.make_node("F", ["x"], ["y"], domain="own")], functions=[function]),
    }
    with pytest.raises(ConfigError, match="outside its folder: that is never read"):
        check_onnx_file(write(folder, models[hidden]()))


def test_data_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"keeps data in w\.bin, which is missing beside it"):
        check_onnx_file(write(tmp_path, model_of([identity()], [outside("w.bin")])))


def test_operators_of_others_are_refused_wherever_they_stand(tmp_path):
    said = "needs operators of 'evil', which a library of somebody else would have to run"
    for node in (identity("evil"), branching(node=identity("evil"))):
        with pytest.raises(ConfigError, match=said):
            check_onnx_file(write(tmp_path, model_of([node])))
    check_onnx_file(write(tmp_path, model_of([identity("com.microsoft")])))


def test_functions_of_the_file_itself_are_none_of_others(tmp_path):
    function = helper.make_function("own", "F", ["a"], ["y"], [identity("evil")], [helper.make_opsetid("", 18)])
    node = helper.make_node("F", ["x"], ["y"], domain="own")
    with pytest.raises(ConfigError, match="operators of 'evil'"):
        check_onnx_file(write(tmp_path, model_of([node], functions=[function])))
    function.node[0].domain = ""
    check_onnx_file(write(tmp_path, model_of([node], functions=[function])))


@pytest.mark.parametrize("content", [b"no network", b"\x08\x07\xff\xff\xff", b""])
def test_file_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "x.onnx").write_bytes(content)
    if content:
        with pytest.raises(ConfigError, match="is not a readable ONNX file"):
            check_onnx_file(tmp_path / "x.onnx")
    else:  # protobuf reads nothing as an empty message, which onnxruntime refuses
        check_onnx_file(tmp_path / "x.onnx")


def test_size_is_bounded_and_missing_files_are_named(tmp_path, monkeypatch):
    path = write(tmp_path, model_of([identity()]))
    monkeypatch.setattr(onnx_file, "MOST_BYTES", 10)
    with pytest.raises(ConfigError, match="is larger than 10 bytes"):
        check_onnx_file(path)
    with pytest.raises(ConfigError, match="no such ONNX file"):
        check_onnx_file(tmp_path / "none.onnx")


def test_first_missing_package_is_told():
    from traiNNer.traits import Requirement

    there, missing = Requirement("json", ""), Requirement("no_such_package", "pip install it")
    require(Path("x"), there)
    with pytest.raises(ConfigError, match="x needs the package no-such-package, which is not installed; install it"):
        require(Path("x"), there, missing)
