"""mmaction2's own readers and training over what whole runs of AVA and AVA-Kinetics made, with a film missing."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
from box_world import AVA_SECONDS, FILM, KINETICS, NET, OTHER, VAL, BoxWorld, place_ava, place_kinetics, serve
from clipquarry.families.boxes.sample.walkers import box
from real_readers import prove, skip_without_readers

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def readers() -> None:
    skip_without_readers()


def test_readers_read_the_pipelines_release(readers: None, box_films: Path, tmp_path: Path) -> None:
    world = BoxWorld(tmp_path / "data")
    place_ava(world.root)
    place_kinetics(world.root)
    server, url = serve(box_films)
    world.go("ava", mirror_url=f"{url}/{{clip}}", sources=["mirror"])
    server.shutdown()
    world.go("ava_kinetics", local_folder=str(box_films), sources=["kinetics700", "local"], detector="hog", score=0.5)
    # One of AVA's films is nowhere, one has no images: the release's csv leaves them out, and takes the place of the official one.
    for dataset in ("ava", "ava_kinetics"):
        release = world.settings.data.release(dataset) / "one" / "ava_train_v2.2.csv"
        shutil.copyfile(release, world.root / dataset / "annotations" / release.name)
    proof = prove(world.root, tmp_path, boxes=["ava_v2.2", "ava_kinetics"], lists=[], train="ava_kinetics")
    ava, both = proof["boxes"]["ava_v2.2"], proof["boxes"]["ava_kinetics"]
    assert [told["img_key"] for told in ava["train"]["told"]] == [f"{FILM},{second:04d}" for second in AVA_SECONDS]
    assert [told["img_key"] for told in ava["val"]["told"]] == [f"{VAL},{second:04d}" for second in AVA_SECONDS]
    first = ava["train"]["told"][0]
    assert first["gt_bboxes"] == [list(box(902))]
    assert first["actions"] == [[12, 80]]
    clips = [f"{KINETICS}_000015_000019,0017", f"{OTHER}_000031_000035,0033", f"{NET}_000053_000057,0055"]
    keys = [told["img_key"] for told in both["train"]["told"]]
    assert keys == [*clips, *(f"{FILM},{second:04d}" for second in AVA_SECONDS)]
    assert all(told["proposals"] != [[0, 0, 1, 1]] for told in both["train"]["told"][:3]), (
        "people were found in the clips"
    )
    training = proof["training"]
    assert training["iterations"] == 2
    assert all(math.isfinite(loss) for loss in training["losses"])
