"""Pans over photos at several speeds, joins two of them, and counts the cuts that are found, true and false.

    python -m benchmarks.scene_cuts --data DIR [--clips 150] [--quick]

Each clip has a cut in the middle. Speeds are in pixels per frame of 240 x 160; `twos` shows every frame twice, as
animation does. Windows have five frames, as networks of clips see them.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from traiNNer.data.files.listing import list_images
from traiNNer.imaging.image_file import read_image
from traiNNer.utils.clips import miniature, window, within_scene

SIZE = (160, 240)
FRAMES = 6
SPEEDS = (0, 1, 2, 4, 8, 16)


def pan(photo: np.ndarray, speed: float, random: np.random.Generator) -> list[np.ndarray]:
    """Return frames of a camera that moves in one direction and turns back at the border."""
    room = np.array(photo.shape[:2]) - SIZE
    start, angle = random.uniform(0, room), random.uniform(0, 2 * np.pi)
    frames = []
    for number in range(FRAMES):
        place = start + speed * number * np.array([np.sin(angle), np.cos(angle)])
        y, x = np.abs((place + room) % (2 * np.maximum(room, 1)) - room)
        shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
        frames.append(cv2.warpAffine(photo, shift, SIZE[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))
    return frames


def ends(frames: list[np.ndarray]) -> list[bool]:
    """Return for every step whether the window around the frame before it ends there."""
    small = [miniature(frame) for frame in frames]
    found = []
    for place in range(len(frames) - 1):
        places = window(place, 5, len(frames))
        found.append(within_scene(places, [small[near] for near in places])[3] == place)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Count found cuts and false ones.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=150)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    paths = list(list_images(args.data).files.values())
    random, count = np.random.default_rng(0), 4 if args.quick else args.clips
    photos = [
        photo for path in paths if min((photo := read_image(path)).shape[0] - SIZE[0], photo.shape[1] - SIZE[1]) > 0
    ]
    for repeat, title in ((1, "ones"), (2, "twos")):
        for speed in SPEEDS:
            hits, false, steps = 0, 0, 0
            for _ in range(count):
                chosen = random.choice(len(photos), 2, replace=len(photos) < 2)
                film = [frame for place in chosen for frame in pan(photos[place], speed, random) for _ in range(repeat)]
                found = ends(film)
                middle = len(film) // 2 - 1
                hits += found[middle]
                false += sum(found) - found[middle]
                steps += len(found) - 1
            print(f"{title} {speed:>3} px/frame: found {hits / count:6.1%}, false {false / steps:6.2%}")


if __name__ == "__main__":
    main()
