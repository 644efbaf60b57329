"""What we make: images from physics, with a truth that is known exactly."""

from mednb.simulate.contrast import mr_like
from mednb.simulate.hearts import hearts
from mednb.simulate.lesions import lesions
from mednb.simulate.lungs import lungs
from mednb.simulate.scanners import SCANNERS, Scanner
from mednb.simulate.scores import Scores, scores

__all__ = [
    "SCANNERS",
    "Scanner",
    "Scores",
    "hearts",
    "lesions",
    "lungs",
    "mr_like",
    "scores",
]
