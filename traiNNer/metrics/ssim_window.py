"""The constants of structural similarity (Wang et al. 2004)."""

WINDOW = 11
"""Side of the Gaussian window in pixels."""
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2
