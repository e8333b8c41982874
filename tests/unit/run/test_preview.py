"""The preview shows exactly what a run trains with; degrade writes what a validation set would hold."""

import numpy as np
import pytest
import torch
from imagekit import write_pairs
from runkit import base_options, merged

from traiNNer.config.load import check_tree
from traiNNer.config.options import TrainOptions
from traiNNer.config.tree import node_of
from traiNNer.data.loader import TrainLoader
from traiNNer.engine.log.logbook import Logbook
from traiNNer.engine.runtime.start import start_runtime
from traiNNer.errors import ConfigError, DataError
from traiNNer.imaging.image_file import read_image
from traiNNer.run.build import build_loader, open_dataset
from traiNNer.run.preview import degrade_folder, first_crops, preview

RECIPE = [{"type": "blur"}, {"type": "noise", "prob": 0.5}, {"type": "jpeg"}]


@pytest.fixture
def options(tmp_path):
    write_pairs(tmp_path, 5, (20, 24), smooth=True)
    photos = {"type": "singlegtdataset", "dataroot_gt": str(tmp_path / "hr"), "dataroot_lq": None}
    sets = {"train": photos | {"degradations": RECIPE}, "val": photos | {"degradations": RECIPE}}
    return check_tree(node_of(merged(base_options(), {"datasets": sets})), TrainOptions, "test").options


def test_the_crops_are_those_of_the_run(options):
    crops = list(first_crops(open_dataset(options, "train", Logbook(), notes := {}), options, 7, notes))
    runtime, _ = start_runtime(options)
    loader = build_loader(options, open_dataset(options, "train", Logbook()), runtime)
    batches = [batch for _, parts in zip(range(4), loader, strict=False) for batch in parts]
    for side in ("lq", "gt"):
        wanted = torch.cat([getattr(batch, side) for batch in batches])[:7].numpy()
        assert np.array_equal(np.stack([getattr(crop, side) for crop in crops]), wanted)
    assert all(crop.drawn[0].startswith("blur: kernel ") and "sigma " in crop.drawn[0] for crop in crops)
    assert {len(crop.drawn) for crop in crops} == {2, 3}


def test_two_ranks_and_any_number_of_workers_make_the_images_of_one(options):
    dataset = open_dataset(options, "train", Logbook())
    common = {"seed": 7, "total_iter": 3}

    def stream(**given):
        loader = TrainLoader(dataset, **common, **given)
        try:
            return [(batch.lq, batch.gt) for parts in loader for batch in parts]
        finally:
            loader.close()

    alone = stream(batch_size=4)
    ranks = [stream(batch_size=2, rank=rank, world=2, workers=rank) for rank in range(2)]
    for place, whole in enumerate(alone):
        for side in (0, 1):
            parts = [images for one in ranks if (images := one[place][side]) is not None]
            assert torch.equal(torch.cat(parts), torch.as_tensor(whole[side]))


def test_both_files_show_every_crop(options, tmp_path):
    picture, page = preview(options, Logbook(), 6, tmp_path / "out")
    assert read_image(picture).shape == (2 * 200 + 8, 4 * (2 * 192 + 24), 3)
    text = page.read_text()
    assert text.count("<figure>") == 6
    assert text.count("data:image/png") == 12
    assert text.count("<li>jpeg: quality ") == 6


def test_a_folder_is_degraded_as_a_validation_set_is(options, tmp_path):
    assert degrade_folder(options, "val", tmp_path / "hr", tmp_path / "made") == 5
    dataset = open_dataset(options, "val", Logbook())
    for index in range(5):
        sample = dataset.whole(index)
        assert sample.lq is not None
        assert np.array_equal(read_image(tmp_path / "made" / f"{sample.key}.png"), sample.lq)
    with pytest.raises(DataError, match="is not empty"):
        degrade_folder(options, "val", tmp_path / "hr", tmp_path / "made")
    with pytest.raises(DataError, match="is not a folder"):
        degrade_folder(options, "val", tmp_path / "nothing", tmp_path / "other")


def test_without_degradations_there_is_nothing_to_write(tmp_path):
    plain = check_tree(node_of(base_options()), TrainOptions, "test").options
    with pytest.raises(ConfigError, match=r"datasets\.val has no degradations"):
        degrade_folder(plain, "val", tmp_path, tmp_path / "made")
