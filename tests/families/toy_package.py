"""The package of somebody else that brings the toy family, as pip would install it, and the YAML of its data set."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from clipquarry.datasets.model import DatasetSpec
from clipquarry.pipeline.family import Family, Task

TOY = Path(__file__).parent / "toy/clipquarry_toy.py"
YAML = """
schema: dataset-spec/v1
name: toys
title: Toys
family: toy
options: {longest: 3}
root: toys
access: {kind: open}
layout: {annotations: annotations, videos: videos}
item: {level: 1, ext: [mp4]}
labels: {source: none}
splits: {train: annotations/train.txt}
sources:
  - {id: by_hand, kind: manual, provides: annotations, howto: "write annotations/train.txt"}
  - {id: origin, kind: http, provides: items, content: video, url: "${CLIPQUARRY_DEMO_URL}/videos/{id}.mp4"}
recipe: {preset: ultrafast}
"""


def install(folder: Path) -> None:
    """Into ``folder/site``, which a process has on its path; the YAML into ``folder/specs``."""
    site = folder / "site"
    about = site / "clipquarry_toy-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: clipquarry-toy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[clipquarry.families]\ntoy = clipquarry_toy:FAMILY\n")
    shutil.copy(TOY, site)
    (folder / "specs").mkdir()
    (folder / "specs/toys.yaml").write_text(YAML)


def toy_tasks() -> tuple[Task, ...]:
    """Of a run of it."""
    return toy_family().tasks(DatasetSpec.model_construct(family="toy"))


def toy_family() -> Family:
    """The family in this process, where no entry point brings it."""
    spec = importlib.util.spec_from_file_location("clipquarry_toy", TOY)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    family: Family = module.FAMILY
    return family
