"""The tables that the gates of labelled intervals check, for people who bring checks of their own: what a row is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "annotations": {
        "usable": "a usable video",
        "splits": "a chosen split",
        "catalog": "an annotated video, or a line that was rejected",
        "csv_rows_*": "the annotation files of the split `*`",
        "checksums": "an annotation file with a published checksum",
        "files": "an annotation file, as it was read",
        "pins": "an annotation file, as it was first seen",
        "videos": "a usable video, with its names",
        "disjoint": "a video, with the splits that have it",
        "intervals": "a labelled interval",
        "classes": "a class of a split",
    },
    "clips": {
        "recorded": "a video with a result",
        "selected": "a chosen split",
        "clips_results": "a video that was asked for, or has a result",
        "coverage_*": "a usable video of the split `*`; `coverage_all`: of all splits",
        "losses": "a usable video",
        "clips": "a video that is there",
        "height": "a video for which a height was asked",
        "content": "a video whose pictures were measured",
        "rate_of_clips": "a video whose rate was measured",
        "sound": "a video whose sound was measured",
        "near_copies": "a video of a later split with a fingerprint",
        "in_video": "a labelled interval of a video that is there",
        "lengths": "a video that is there, with the length that the annotation says",
        "features_content": "a csv of features as published, some of which were read whole",
    },
    "frames": {
        "frames_results": "a video that should have frames",
        "frames_made": "a video that should have frames, with how it went",
        "frames": "a folder of frames",
        "folder_content": "a folder of frames whose video was not measured",
        "flow_result": "a video that should have flow",
        "flow_made": "a video that should have flow, with how it went",
        "flow": "a folder with flow",
        "flow_on_disk": "a folder with flow, some of whose pairs were decoded",
    },
    "features": {
        "features_results": "a video whose features should be pooled",
        "features_made": "a video whose features should be pooled, with how it went",
        "features": "a csv of pooled features",
        "features_content": "a csv of pooled features, some of which were read whole",
    },
    "lists": {
        "files": "a list of frames",
        "*_intervals": "a labelled interval of the split `*` whose video has frames",
        "*_videos": "a video in the list of the split `*`",
        "*_clips": "an interval in the list of the split `*`",
    },
    "proposals": {
        "files": "a list of proposals",
        "*_blocks": "a video in the list of the split `*`",
        "*_frames": "a video that was written into the list of the split `*`",
        "*_published": "a video of the published list of the split `*`",
        "*_videos": "an annotated video of the split `*`",
    },
}
