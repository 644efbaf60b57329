"""What we make: images from physics, with a truth that is known exactly."""

from mednb.simulate.lesions import lesions
from mednb.simulate.scanners import SCANNERS, Scanner

__all__ = ["SCANNERS", "Scanner", "lesions"]
