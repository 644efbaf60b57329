"""The few figures the notebooks need. Every one takes its alternative text.

What every notebook shows is in ``figures``; a topic's own pictures have a file of their own.
"""

from mednb.plots.evaluation import decision_curve, reliability, roc, threshold
from mednb.plots.figures import (
    OKABE_ITO,
    bland_altman,
    confusion,
    curves,
    film,
    frame,
    images,
    interactive,
    intervals,
    play,
    show,
    style,
)
from mednb.plots.generation import gains, montage, points
from mednb.plots.networks import u_shape
from mednb.plots.reconstruction import detection, kspace_and_images, reconstructions
from mednb.plots.registration import checkerboard, grids, jacobians, landscapes, registered
from mednb.plots.segmentation import overlay, scatter
from mednb.plots.sequences import beats, m_mode, motion

__all__ = [
    "OKABE_ITO",
    "beats",
    "bland_altman",
    "checkerboard",
    "confusion",
    "curves",
    "decision_curve",
    "detection",
    "film",
    "frame",
    "gains",
    "grids",
    "images",
    "interactive",
    "intervals",
    "jacobians",
    "kspace_and_images",
    "landscapes",
    "m_mode",
    "montage",
    "motion",
    "overlay",
    "play",
    "points",
    "reconstructions",
    "registered",
    "reliability",
    "roc",
    "scatter",
    "show",
    "style",
    "threshold",
    "u_shape",
]
