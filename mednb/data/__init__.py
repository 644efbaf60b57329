"""Data sets and readers: ``load`` a set by name, or read a file of your own.

Everything arrives as :class:`mednb.types.Split`, :class:`~mednb.types.Dataset` or
:class:`~mednb.types.Clip`, checked, with its licence and its known faults.
"""

from mednb.data.dicom import example, read_dicom
from mednb.data.registry import load, names
from mednb.data.video import read_video

__all__ = ["example", "load", "names", "read_dicom", "read_video"]
