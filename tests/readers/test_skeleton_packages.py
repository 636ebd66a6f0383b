"""mmaction2's ``PoseDataset`` over released packages of skeletons, by the configs that docs/mmaction2.md names."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from clipquarry.demo.origin import Origin
from clipquarry.families.skeletons.sample import HEIGHT, NAMES, TRAIN, make_packages
from families.clips.file_world import PACKAGED, World
from real_readers import prove, skip_without_readers

pytestmark = pytest.mark.timeout(1200)

GRAPH = "skeleton/stgcn/stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-{}.py"
HEAT = "skeleton/posec3d/slowonly_r50_8xb16-u48-240e_ntu60-xsub-{}.py"
FILES = "skeleton/posec3d/slowonly_r50_8xb32-u48-240e_k400-keypoint.py"
READ: dict[str, tuple[str, str, dict[str, Any], list[int]]] = {
    # package, config, further arguments, shape of the inputs that the config's pipeline packs
    "joints 2d": ("toy_2d", GRAPH.format("2d"), {}, [1, 2, 100, 17, 3]),
    "joints 3d": ("toy_3d", GRAPH.format("3d"), {}, [1, 2, 100, 25, 3]),
    "points as heat maps": ("toy_2d", HEAT.format("keypoint"), {}, [1, 17, 48, 64, 64]),
    "limbs as heat maps": ("toy_2d", HEAT.format("limb"), {}, [1, 17, 48, 64, 64]),
    "files of key points": (
        "toy_contents",
        FILES,
        {"data_prefix": {"skeleton": "data/toys/kpfiles"}},
        [1, 17, 48, 64, 64],
    ),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    skip_without_readers()
    folder = tmp_path_factory.mktemp("readers_of_packages")
    made = make_packages(folder / "made")
    with Origin(made.folder / "packages") as origin:
        world = World(folder, "toys", origin)
        text = (PACKAGED / "skeleton_demo.yaml").read_text()
        text = text.replace("skeleton_demo", "toys").replace("${CLIPQUARRY_DEMO_URL}/packages", "${SMALL_URL}")
        world.spec(text)
        made.place(world.root)
        world.run("one")
    sets = {
        f"{name}, {split}": {
            "type": "PoseDataset", "config": config, "ann_file": f"data/toys/{package}.pkl", "split": split, **more,
        }
        for name, (package, config, more, _) in READ.items()
        for split in ("train", "val")
    }  # fmt: skip
    found = prove(world.data, folder, sets=sets)["sets"]
    samples = {package: pickle.loads((world.root / f"{package}.pkl").read_bytes()) for package, *_ in READ.values()}
    return {"sets": found, "packages": samples}


@pytest.mark.parametrize("name", READ)
def test_every_split_of_a_package_is_read_whole(told: dict[str, Any], name: str) -> None:
    package, _, _, shape = READ[name]
    held = told["packages"][package]
    assert set(held["split"]) == {"train", "val"}
    labels = {one["frame_dir"]: (one["label"], one["total_frames"]) for one in held["annotations"]}
    for split, names in held["split"].items():
        found = told["sets"][f"{name}, {split}"]
        assert (found["class"], found["samples"]) == ("PoseDataset", len(names))
        assert [Path(one["path"]).name for one in found["told"]] == names
        for one in found["told"]:
            label, frames = labels[Path(one["path"]).name]
            assert (one["label"], one["total_frames"]) == (label, frames) and one["packed"] == {"label": [label]}
            assert one["inputs"] == shape, "no sample is left out, or of another form"
    assert (HEIGHT, len(NAMES), TRAIN) == (240, 12, 9)
