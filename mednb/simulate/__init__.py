"""What we make: images from physics, with a truth that is known exactly."""

from mednb.simulate.brains import brains
from mednb.simulate.contrast import mr_like
from mednb.simulate.hearts import hearts
from mednb.simulate.lesions import lesions
from mednb.simulate.scanners import SCANNERS, Scanner
from mednb.simulate.scores import Scores, scores
from mednb.simulate.speckle import looks

__all__ = [
    "SCANNERS",
    "Scanner",
    "Scores",
    "brains",
    "hearts",
    "lesions",
    "looks",
    "mr_like",
    "scores",
]
