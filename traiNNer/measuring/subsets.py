"""Parts of an image set that stand for the whole when something is only to be compared or timed."""

import numpy as np

from traiNNer.batch import ImageSet, Sample


class Few(ImageSet):
    """Some images of a set, evenly chosen, or the center of each.

    Args:
        dataset: the whole set.
        count: how many images, at most.
        scale: how many times larger GT is.
        side: side of the center in LQ pixels; None takes whole images.
    """

    def __init__(self, dataset: ImageSet, count: int, scale: int, side: int | None = None) -> None:
        self.dataset, self.scale, self.side = dataset, scale, side
        self.crop_size, self.has_gt = side, dataset.has_gt
        count = min(count, len(dataset))
        self.places = [len(dataset) * place // count for place in range(count)]

    def __len__(self) -> int:
        return len(self.places)

    def whole(self, index: int) -> Sample:
        """Return one of the images."""
        sample = self.dataset.whole(self.places[index])
        if self.side is None:
            return sample
        whole = lq_of(sample)
        top, left = (max(0, (length - self.side) // 2) for length in whole.shape[:2])
        lq = whole[top : top + self.side, left : left + self.side]
        rows, columns = (slice(start * self.scale, (start + self.side) * self.scale) for start in (top, left))
        gt = None if sample.gt is None else np.ascontiguousarray(sample.gt[rows, columns])
        return Sample(np.ascontiguousarray(lq), gt, sample.key)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:  # noqa: ARG002 - nothing is random here
        """Return the same; these images are not trained on."""
        return self.whole(index)

    def share(self) -> float:
        """Return how much of the pixels of the whole set this is, judged by the images that were chosen."""
        parts = sum(lq_of(self.whole(index))[:, :, 0].size for index in range(len(self)))
        wholes = sum(lq_of(self.dataset.whole(place))[:, :, 0].size for place in self.places)
        return parts / wholes * len(self) / len(self.dataset)

    def fingerprint(self) -> dict[str, str | int]:
        """Return the count; the choice is made anew every time."""
        return {"count": len(self)}


class Warm(ImageSet):
    """A training set of which only the first images are read: after a while all are in memory, as these are at once."""

    def __init__(self, dataset: ImageSet, count: int) -> None:
        self.dataset = dataset
        self.crop_size, self.has_gt = dataset.crop_size, dataset.has_gt
        self.count = min(count, len(dataset))

    def __len__(self) -> int:
        return len(self.dataset)

    def whole(self, index: int) -> Sample:
        """Return a whole image."""
        return self.dataset.whole(index)

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Return a crop of one of the first images."""
        return self.dataset.sample(index % self.count, rng)

    def share_cache(self, processes: int) -> str:
        """Have the set itself decide what is kept."""
        return self.dataset.share_cache(processes)

    def start_worker(self) -> None:
        """Get the set itself ready."""
        self.dataset.start_worker()

    def fingerprint(self) -> dict[str, str | int]:
        """Return what the set itself returns."""
        return self.dataset.fingerprint()

    def read(self) -> None:
        """Read the images that are used."""
        for index in range(self.count):
            self.whole(index)


def lq_of(sample: Sample) -> np.ndarray:
    """Return the LQ image, which every set that is measured has: they are folders of image files."""
    assert sample.lq is not None
    return sample.lq
