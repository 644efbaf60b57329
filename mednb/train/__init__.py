"""Training: the same loop for every network, one that a kill at any moment cannot spoil."""

from mednb.train.adversarial import Game, fit_adversarial, fit_gan, fit_inpainting
from mednb.train.history import History
from mednb.train.loop import DivergedError, fit
from mednb.train.recipes import SMALL, Recipe, train_small
from mednb.train.sequences import (
    answers,
    arrow_of_time,
    as_frames,
    encode,
    fit_clips,
    fit_head,
    log_voxels,
    reverse,
    shuffle_frames,
    shuffled,
    train_encoder,
    two_stage,
    views,
    with_features,
    with_targets,
)

__all__ = [
    "SMALL",
    "DivergedError",
    "Game",
    "History",
    "Recipe",
    "answers",
    "arrow_of_time",
    "as_frames",
    "encode",
    "fit",
    "fit_adversarial",
    "fit_clips",
    "fit_gan",
    "fit_head",
    "fit_inpainting",
    "log_voxels",
    "reverse",
    "shuffle_frames",
    "shuffled",
    "train_encoder",
    "train_small",
    "two_stage",
    "views",
    "with_features",
    "with_targets",
]
