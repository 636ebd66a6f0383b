"""The tables that the gates of tubes check, for people who bring checks of their own: what a row is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "annotations": {
        "usable": "a usable video",
        "splits": "a chosen split",
        "catalog": "a video of the ground truth, or one that was rejected",
        "csv_rows_*": "the videos of the split `*`",
        "files": "an annotation file, as it was read",
        "pins": "an annotation file, as it was first seen",
        "names": "a usable video, with its names",
        "videos": "a video that any part of the ground truth names",
        "forms": "a tube, wrong ones too",
        "tubes": "a tube",
        "whole": "a usable video, with how many tubes it has",
        "classes": "a class of a split",
    },
    "clips": {
        "recorded": "a video with a result",
        "selected": "a chosen split",
        "clips_results": "a video that was asked for, or has a result",
        "coverage_*": "a usable video of the split `*`; `coverage_all`: of all splits",
        "losses": "a usable video",
        "clips": "a folder of frames that is there",
        "height": "a video for which a height was asked",
        "content": "a video whose pictures were measured",
        "rate_of_clips": "a video whose rate was measured",
        "sound": "a video whose sound was measured",
        "near_copies": "a video of a later split with a fingerprint",
    },
    "tubes": {
        "stored": "a video that is there, with what the ground truth says of its frames",
        "flow": "the folder of optical flow of a video that is there",
    },
}
