"""What we make: images from physics, with a truth that is known exactly."""

from mednb.simulate.hearts import hearts, mr_like
from mednb.simulate.lesions import lesions, looks
from mednb.simulate.mri import brains
from mednb.simulate.ultrasound import SCANNERS, Scanner

__all__ = ["SCANNERS", "Scanner", "brains", "hearts", "lesions", "looks", "mr_like"]
