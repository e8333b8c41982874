import pytest

import traiNNer.data
from traiNNer.data.files.options import FileOptions
from traiNNer.registry import DATASETS, OptionGroup, Registry
from traiNNer.traits import Traits

OWN = {"pairedimagedataset": {"dataroot_lq", "dataroot_gt", "made_of_gt"}, "singlegtdataset": {"dataroot_gt"}}


@pytest.mark.parametrize("name", OWN)
def test_every_dataset_has_its_own_options_and_the_shared_ones(name):
    assert traiNNer.data
    assert set(DATASETS[name].options.model_fields) == OWN[name] | set(FileOptions.model_fields)


def test_builder_gets_the_group_as_one_object():
    dataset = DATASETS.build("singlegtdataset", {"dataroot_gt": "x", "gt_size": 24, "strict": True}, scale=2)
    assert dataset.files == FileOptions(gt_size=24, strict=True)
    assert (dataset.crop_size, dataset.strict, dataset.has_gt) == (12, True, True)


@pytest.mark.parametrize(
    ("options", "size"), [({}, None), ({"lq_size": 8}, 8), ({"gt_size": 24}, 8), ({"lq_size": 8, "gt_size": 24}, 8)]
)
def test_crop_size_is_derived_in_one_place(options, size):
    assert FileOptions(**options).crop_size(3) == size


def test_duplicate_option_is_refused():
    class Group(OptionGroup):
        size: int = 1

    def build(size: int, group: Group) -> None: ...

    with pytest.raises(TypeError, match="option 'size' stands twice"):
        Registry("thing", Traits).register(build)
