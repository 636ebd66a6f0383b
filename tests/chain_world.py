"""Two small data sets of local clips, and one that is made of both: their YAMLs, clips and csv files."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner, Result
from clipquarry.cli import main
from clipquarry.demo.videos import make_video
from clipquarry.settings import Settings

HEADER = "label,youtube_id,time_start,time_end,split\n"
PARTS = ("left_part", "right_part")
DERIVED = "both_parts"
_COMMON = """
schema: dataset-spec/v1
name: {name}
title: Toy {name}
family: clips
root: {name}
access: {{kind: own}}
options: {{reader: kinetics_csv}}
layout: {{annotations: annotations, videos: "videos_{{split}}", rawframes: "rawframes_{{split}}"}}
item: {{level: 2, ext: [mp4], ids: youtube}}
labels: {{source: annotation, count: 1, order: codepoint}}
lists: {{videos: "{{split}}_list_videos.txt", rawframes: "{{split}}_list_rawframes.txt"}}
missing: {{warn: 0.9, error: 1}}
recipe: {{preset: ultrafast, max_seconds: 2}}
"""
_PART = (
    _COMMON
    + """
splits: {{train: annotations/train.csv}}
sources:
  - {{id: mine, kind: local, provides: items, content: clip, path: "{clips}/{{clip}}.mp4"}}
"""
)
_DERIVED = (
    _COMMON
    + """
splits: {{left: annotations/left.csv, right: annotations/right.csv}}
sources:
  - {{id: of_left, kind: dataset, provides: annotations, dataset: left_part, path: "left_part/annotations/train.csv", into: annotations/left.csv}}
  - {{id: of_right, kind: dataset, provides: annotations, dataset: right_part, path: "right_part/annotations/train.csv", into: annotations/right.csv}}
  - {{id: left_part, kind: dataset, provides: items, dataset: left_part, split_names: {{left: train}}}}
  - {{id: right_part, kind: dataset, provides: items, dataset: right_part, split_names: {{right: train}}}}
"""
)
CLIPS = {
    "left_part": tuple(f"_video_l{number}_0" for number in range(5)),
    "right_part": tuple(f"_video_r{number}_0" for number in range(5)),
}


@dataclass
class ChainWorld:
    """A data root, the folder of YAMLs, a folder of clips, and the command line. A part's csv names five clips; what
    lies in the folder of clips decides which of them a run finds.
    """

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.specs.mkdir(parents=True, exist_ok=True)
        self.clips.mkdir(exist_ok=True)
        make_video(self.folder / "one.mp4", 2, 10)
        for name in PARTS:
            (self.specs / f"{name}.yaml").write_text(_PART.format(name=name, clips=self.clips))
            csv = self.data / name / "annotations/train.csv"
            csv.parent.mkdir(parents=True, exist_ok=True)
            csv.write_text(HEADER + "".join(f"zumba,{video},0,2,train\n" for video in CLIPS[name]))
        (self.specs / f"{DERIVED}.yaml").write_text(_DERIVED.format(name=DERIVED))

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def specs(self) -> Path:
        return self.folder / "specs"

    @property
    def clips(self) -> Path:
        return self.folder / "clips"

    @property
    def environment(self) -> dict[str, str]:
        return {"CLIPQUARRY_DATA": str(self.data), "CLIPQUARRY_DATASETS": str(self.specs), **self.variables}

    @property
    def settings(self) -> Settings:
        return Settings.from_env(self.environment)

    def give(self, part: str, number: int) -> None:
        """Put clip ``number`` (from 0) of a part where its next run finds it."""
        shutil.copy(self.folder / "one.mp4", self.clips / f"{CLIPS[part][number]}_000000_000002.mp4")

    def __call__(self, *arguments: str, code: int = 0) -> Result:
        unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CLIPQUARRY_")}
        done = CliRunner().invoke(main, list(arguments), env={**unset, **self.environment})
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        assert done.exit_code == code, done.output
        return done

    def run(self, name: str, run: str, *more: str, code: int = 0) -> Result:
        return self(
            "run", name, "--run", run, "--set", "annotation_counts=warn", "--set", "retry_all=true", *more, code=code
        )

    def make(self, name: str, run: str, *numbers: int) -> None:
        """Give a part clips, and run it."""
        for number in numbers:
            self.give(name, number)
        self.run(name, run)
