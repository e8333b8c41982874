"""What sets of clips have in common: which frames are seen around one, and that all are treated alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from traiNNer.batch import Degrade, Sample, middle_of
from traiNNer.data.cache.images import Rows
from traiNNer.data.cache.recent import Recent
from traiNNer.data.datasets.image_files import ImageFiles
from traiNNer.data.files.films import Films
from traiNNer.data.files.fingerprint import fingerprint
from traiNNer.data.files.pairing import Pair
from traiNNer.data.files.sequence import runs
from traiNNer.data.transforms import random_place
from traiNNer.errors import DataError
from traiNNer.imaging.film import is_film
from traiNNer.utils.clips import miniature, window, within_scene

RECENT_BYTES = 256 * 2**20
"""Of decoded frames of films that are kept in memory: those of the next samples are often among them."""
ClipSize = Annotated[int, Field(ge=1, le=99)]


class ClipFiles(ImageFiles):
    """Frames of films; each is a sample of the frames around it. What is read of a frame is in `_part`."""

    is_film = True

    def _prepare(self, clip_size: int) -> None:
        """Complete the construction. Raises `ValueError` for an even `clip_size`."""
        if clip_size % 2 == 0:
            raise ValueError(f"clip_size {clip_size} must be odd: the frame in the middle is the one that is made")
        self.clip_size = clip_size
        self._films: Films = {}
        self._recent = Recent(RECENT_BYTES)
        self._runs: list[range] = []
        self._places: dict[str, int] = {}
        self._miniatures: dict[Path, np.ndarray] = {}

    def open(self, purpose: Literal["train", "val"], name: str) -> list[str]:
        """Find and check every frame, and which belong together. Returns notices for the log. Raises `DataError`."""
        if self.selection.split != "all":
            raise DataError(f"{name}.split holds out single images. Name films or folders for validation instead.")
        notices = super().open(purpose, name)
        headers = (self._headers[pair.source] for pair in self._pairs)
        kinds = [(header.width, header.height, header.bits > 8) for header in headers]
        self._runs = runs([pair.key for pair in self._pairs], kinds)
        self._places = {pair.key: place for place, pair in enumerate(self._pairs)}
        short = sum(len(run) < self.clip_size for run in dict.fromkeys(self._runs))
        if short:
            count = len(dict.fromkeys(self._runs))
            notices.append(
                f"{name}: {short} of {count} clips have fewer frames than clip_size {self.clip_size}; their first and "
                "last frames are repeated"
            )
        return notices

    def whole(self, index: int) -> Sample:
        """Return frame `index`, uncropped, with those around it. Raises `DataError` if one is damaged."""
        sample = super().whole(index)
        run = self._runs[index]
        if index == run.start or self._begins_scene(index, run):
            return sample
        return Sample(sample.lq, sample.gt, sample.key, previous=self._pairs[index - 1].key)

    def _begins_scene(self, index: int, run: range) -> bool:
        """Whether a cut lies before a frame that is not the first of its run, in a window of five frames."""
        places = [run.start + place for place in window(index - run.start, 5, len(run))]
        seen = within_scene(places, [self._miniature(self._pairs[place].source) for place in places])
        return seen[1] == index

    def _seen(self, pair: Pair) -> list[int]:
        """Return the places of the frames that are seen around one, none of them beyond a cut. Raises `ImageError`."""
        place = self._places[pair.key]
        run = self._runs[place]
        places = [run.start + near for near in window(place - run.start, self.clip_size, len(run))]
        if self.clip_size == 1:
            return places
        return within_scene(places, [self._miniature(self._pairs[near].source) for near in places])

    def _miniature(self, path: Path) -> np.ndarray:
        if path not in self._miniatures:
            self._miniatures[path] = miniature(self._image(path))
        return self._miniatures[path]

    def _clip(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Return T, H, W, 3 of the frames; of a single one H, W, 3."""
        return np.stack(images) if self.clip_size > 1 else np.ascontiguousarray(images[0])

    def _place(self, pair: Pair, side: int, rng: np.random.Generator) -> tuple[int, int]:
        return random_place(*self._lq_shape(pair), side, rng)

    def _title(self, pair: Pair) -> str:
        """All frames of a clip are degraded alike."""
        return self._pairs[self._runs[self._places[pair.key]].start].key

    def leave_degradations(self) -> None:
        """Keep the degradations here: a step knows no frames."""

    def _degraded(
        self, degrade: Degrade, pair: Pair, lq: np.ndarray, gt: np.ndarray | None, seed: int
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Degrade all frames alike; GT is a clip, too, where LQ is made of it, and its middle frame is returned."""
        places = self._seen(pair)
        start = self._runs[places[0]].start
        numbers = [place - start for place in places]
        if gt is not None:
            shown = numbers if gt.ndim == 4 else [numbers[len(numbers) // 2]]
            gt = degrade.gt(gt, seed, shown)
        source = gt if self.is_made_of_gt and gt is not None else lq
        size = (lq.shape[-3], lq.shape[-2])
        return degrade.lq(source, seed, size, numbers), None if gt is None else middle_of(gt, 3)

    def _image(self, path: Path, rows: Rows | None = None) -> np.ndarray:
        film = self._films.get(path.parent)
        if film is None:
            return super()._image(path, rows)
        return self._recent.get(str(path), lambda: film.frame(int(path.name)))

    def share_cache(self, processes: int) -> str:
        """Decide whether decoded frames are kept; those of films are for a moment, by each process."""
        return "" if self._films else super().share_cache(processes)

    def relief(self) -> str:
        """Return what a user can do to have fewer frames decoded."""
        return "train on folders of frames, which are kept decoded" if self._films else super().relief()

    def fingerprint(self) -> dict[str, str | int]:
        """Return what identifies the frames; of films, the bytes of the files, and how many frames each has."""
        if not self._films:
            return super().fingerprint()
        named = [(f"{len(film)} {film.path.name}", [film.path]) for film in self._films.values()]
        try:
            return fingerprint(named, {film.path: film.header for film in self._films.values()})
        except OSError as error:
            raise DataError(f"{self.name}: a film cannot be read any more: {error}") from None

    def paired_files(self) -> dict[str, tuple[Path, Path]]:
        """Return the files of GT and LQ by key; nothing where they are frames of films, or LQ is made."""
        if self._films:
            return {}
        return {pair.key: (pair.gt, pair.lq) for pair in self._pairs if pair.gt and pair.lq}

    def originals(self) -> list[Path]:
        """Return the files of the ground truth, in order; nothing where they are frames of films."""
        return [] if self._films else super().originals()

    def describe(self, index: int) -> str:
        """Return the frame that `sample(index, …)` reads first, for messages."""
        source = self._pairs[index].source
        return f"frame {int(source.name)} of {source.parent}" if is_film(source.parent) else str(source)
