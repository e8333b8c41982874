"""Color spaces for losses: differentiable, and finite for the values outside [0, 1] that a network makes.

Every function takes float32 B, 3, H, W in sRGB unless it says otherwise. Where the textbook formula has an infinite
gradient, near black, it continues as a line.
"""

import torch
from torch import Tensor

TO_XYZ = (
    (0.41239079926595934, 0.357584339383878, 0.1804807884018343),
    (0.21263900587151027, 0.715168678767756, 0.07219231536073371),
    (0.01933081871559182, 0.11919477979462598, 0.9505321522496607),
)
FROM_XYZ = (
    (3.240969941904523, -1.537383177570094, -0.498610760293003),
    (-0.96924363628088, 1.87596750150772, 0.04155505740718),
    (0.05563007969699, -0.20397695888898, 1.05697151424288),
)
KAPPA = 24389 / 27
EPSILON = 216 / 24389
WHITE_U, WHITE_V = 0.19783000664283, 0.46831999493879
TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
DARK = 1e-3
"""Linear light below which the cube root of Oklab is a line: less than 4 gray levels of 255."""
LEAST_TOTAL = 1e-2
"""Sum of X + 15 Y + 3 Z (19 for white) at which the colors of L*u*v* fade to gray."""


def linear_light(images: Tensor) -> Tensor:
    """Return linear light (IEC 61966-2-1), 0 for black and 1 for white."""
    bright = ((images.clamp(min=0.04045) + 0.055) / 1.055).pow(2.4)
    return torch.where(images > 0.04045, bright, images / 12.92)


def mixed(planes: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """Return the product of a 3 x 3 matrix with the three channels."""
    return torch.einsum("kc,bchw->bkhw", planes.new_tensor(matrix), planes)


def lightness(images: Tensor) -> Tensor:
    """Return CIE L* in [0, 100], B, 1, H, W."""
    return _lightness_of(mixed(linear_light(images), TO_XYZ)[:, 1:2])


def _lightness_of(luminance: Tensor) -> Tensor:
    bright = 116 * luminance.clamp(min=EPSILON).pow(1 / 3) - 16
    return torch.where(luminance > EPSILON, bright, KAPPA * luminance)


def luv(images: Tensor) -> Tensor:
    """Return CIE L*u*v* (white D65): L* in [0, 100], chroma up to 180."""
    x, y, z = mixed(linear_light(images), TO_XYZ).unbind(1)
    total = x + 15 * y + 3 * z
    # Black is as white in color; what lies outside of all colors has no pole.
    divisor = (total.square() + LEAST_TOTAL**2).sqrt()
    light = _lightness_of(y)
    u = 13 * light * (4 * x - WHITE_U * total) / divisor
    v = 13 * light * (9 * y - WHITE_V * total) / divisor
    return torch.stack([light, u, v], 1)


def hsluv_saturation(luv_planes: Tensor) -> Tensor:
    """Return the saturation of HSLuv, 0 for gray and 1 for the most colorful of its lightness and hue in sRGB; B, H, W.

    In the plane of one lightness the colors of sRGB fill a hexagon around gray. A point lies between gray and a side
    at the share (v * bottom - u * top) / height of the way; the nearest side decides. The lightness is kept within
    5 and 95: at 0 and 100 the hexagon is a point. Beyond 1, outside of sRGB, the logarithm of the share is added.
    """
    light, u, v = luv_planes.unbind(1)
    light = light.clamp(5, 95)
    cubed = (light + 16).pow(3) / 1560896
    luminance = torch.where(cubed > EPSILON, cubed, light / KAPPA)
    shares = []
    for red, green, blue in FROM_XYZ:
        for level in (0, 1):
            top = (284517 * red - 94839 * blue) * luminance
            bottom = (632260 * blue - 126452 * green) * luminance + 126452 * level
            height = (838422 * blue + 769860 * green + 731718 * red) * light * luminance - 769860 * level * light
            shares.append((v * bottom - u * top) / height)
    share = torch.stack(shares).amax(0)
    return torch.where(share > 1, 1 + share.clamp(min=1).log(), share)


def oklab(images: Tensor) -> Tensor:
    """Return Oklab (Ottosson, 2020): lightness in [0, 1], and two opponent colors within about 0.35 of 0."""
    cones = mixed(linear_light(images), TO_LMS)
    root = cones.clamp(min=DARK).pow(1 / 3)
    return mixed(torch.where(cones > DARK, root, cones / DARK ** (2 / 3)), TO_OKLAB)
