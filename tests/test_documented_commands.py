"""Every command in a shell block of README and docs is run: those of ``clipquarry`` here, on the demo's data set, the others by tests that are named."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from checkout import PROJECT, datumaro_block, lines_of, shell_lines
from click.testing import CliRunner
from clipquarry.cli import main
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from clipquarry.families.clips.sample import GOOD, LABELS

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
LINES = {line: page.name for page in PAGES for line in shell_lines(page)}
RUN = "cli-full-20261121T013000"

ELSEWHERE = {
    "make demo": "e2e/test_trial_command.py::test_the_trial_command_starts_containers",
    "CLIPQUARRY_RUNTIME=docker CLIPQUARRY_DOCKER_NETWORK=host make demo": "e2e/test_trial_command.py::test_the_trial_command_starts_containers",
    "make demo-ava": "e2e/test_ava_demo_dag.py",
    "make demo-ava FILM=~/video.mp4": "e2e/test_ava_demo_dag.py",
    "make demo-custom": "e2e/test_custom_demo_dag.py::test_a_killed_demo_and_a_whole_one",
    "make demo-custom FILM=~/films": "families/boxes/own/test_own_demo.py::test_real_videos_become_a_release",
    "make up": "plugins/test_local.py::test_a_second_start_says_so_and_starts_nothing",
    "make images": "images/test_images.py::test_media",
    "make compose-up": "images/test_compose.py::test_the_passwords_are_made_once_and_are_private",
    "make compose-down": "images/test_compose.py::test_folders_of_the_settings_are_mounted_into_airflows_containers",
    "docker/compose.sh adopt": "images/test_compose.py::test_an_old_deployments_settings_are_adopted",
    "clipquarry adopt --data data": "adopt/test_adopt_data_root.py::test_words_paths_and_unfinished_files",
    "BASE_IMAGE=my-cuda-devel-with-python3.11 TORCH_INDEX=https://download.pytorch.org/whl/cu130 FORCE_CUDA=1 docker/images.sh detect":
        "images/test_images.py::test_detect",
    "clipquarry run ava --split val": "pipeline/test_ava_run.py",
    "clipquarry run ava --set version=v2.1 --local-folder /videos": "pipeline/test_ava_run.py",
    "clipquarry run kinetics700 --split train": "pipeline/test_run_all.py",
    "clipquarry run ava_kinetics": "pipeline/test_ava_run.py",
    "clipquarry run ava_kinetics --source youtube": "pipeline/test_ava_run.py",
    "clipquarry run ava_kinetics_flat_700 --local-folder /data/kinetics700/videos": "pipeline/test_flat_cut.py",
    "clipquarry run kinetics_flat --split k400_train --split k400_val --split k600_train --split k600_val": "families/clips/test_kinetics_releases.py",
    "clipquarry run kinetics400 --run mine --set approve_gates=blocked": "pipeline/test_approving.py::test_a_person_releases_all_the_same",
    'clipquarry approve kinetics400 clips --run mine --because "these videos are gone for good"':
        "pipeline/test_approving.py::test_a_person_releases_all_the_same",
    "clipquarry run custom_ava": "families/test_samples.py",
    "clipquarry run custom_ava --set labels=true --set label_days=30": "families/test_samples.py",
    "clipquarry labels convert --from yolo --to via --frames frames labels detection.json":
        "cli/test_labels_command.py::test_via_to_yolo_and_yolo_to_via",
    "clipquarry labels convert --from yolo --to via --class 1 --frames frames bodies detection.json":
        "cli/test_labels_command.py::test_via_to_yolo_and_yolo_to_via",
    "clipquarry labels convert --from via --to yolo --frames frames detection.json labels_to_train":
        "cli/test_labels_command.py::test_a_project_of_the_reference_s_form_becomes_texts",
    "clipquarry labels import custom_ava --from cvat door_1.xml":
        "cli/test_labels_command.py::test_labels_of_another_tool_become_finished_projects",
    "clipquarry labels export custom_ava --to coco labels.json":
        "cli/test_labels_command.py::test_finished_and_proposed_projects_go_out",
    "clipquarry labels export custom_ava --to cvat --proposed for_cvat":
        "cli/test_labels_command.py::test_finished_and_proposed_projects_go_out",
    **dict.fromkeys(
        lines_of(datumaro_block()), "readers/test_datumaro.py::test_boxes_actions_people_and_frames_of_a_release"
    ),
    "clipquarry labels without-heads labels bodies":
        "cli/test_labels_command.py::test_bodies_that_are_heads_are_taken_out",
    "clipquarry run gym99 --set frames=true": "families/clips/test_finegym.py",
    "clipquarry run hvu --set frames=true": "families/clips/test_hvu.py",
    "clipquarry run omnisource --split kinetics_200_train --split kinetics_200_val": "families/clips/test_omnisource.py",
    "clipquarry run omnisource --split kinetics_raw_200_train --set delete_source=true": "families/clips/test_omnisource.py",
    "clipquarry run jester --set flow=true --set encode=true": "families/clips/test_twentybn.py",
    "clipquarry init ~/gestures --into ~/datasets": "families/clips/test_own_frames.py",
    "clipquarry run gestures --set flow=true": "families/clips/test_own_frames.py",
    "export THUMOS14_PASSWORD=...": "families/segments/test_thumos14.py",
    "clipquarry run thumos14 --set frames=true": "families/segments/test_thumos14.py",
    "clipquarry run skeleton --set 'packages=[\"ntu60_2d\"]'": "families/skeletons/test_skeleton_runs.py",
    "clipquarry run skeleton --set 'packages=[\"ntu60_3d_raw\"]'": "families/skeletons/test_skeleton_runs.py",
    "clipquarry run jhmdb": "families/tubes/test_tubes.py",
    "clipquarry run ucf101_24 --local-folder /data/of-a-colleague/UCF101_v2": "families/tubes/test_tubes.py",
    "clipquarry run activitynet_features": "families/segments/test_activitynet.py",
    "clipquarry run activitynet --set frames=true --set flow=true": "families/segments/test_activitynet.py",
    "clipquarry run activitynet --set pool_features=true": "families/segments/test_activitynet.py",
    "clipquarry ssn-proposals results.json --annotation data/ActivityNet/anet_anno_val.json "
    "--classes data/ActivityNet/anet_activity_indexes_val.txt --out anet_val_formatted_proposal.txt":
        "annotations/test_ssn_proposals.py",
    "mkdir -p /ssd/kinetics400/rawframes_train data/kinetics400": "operators/test_folders.py::test_frames_on_another_disk_in_a_container",
    "ln -s /ssd/kinetics400/rawframes_train data/kinetics400/rawframes_train": "operators/test_folders.py::test_frames_on_another_disk_in_a_container",
    "export CLIPQUARRY_EXTRA_ROOTS=/ssd": "operators/test_folders.py::test_frames_on_another_disk_in_a_container",
    "createdb --encoding=UTF8 --template=template0 clipquarry": "pipeline/test_run_all.py",
    "export CLIPQUARRY_LEDGER=postgresql://clipquarry:secret@db.example.org/clipquarry": "pipeline/test_run_all.py",
    "export CLIPQUARRY_DATASETS=~/datasets": "pipeline/test_run_all.py",
    "ln -s /path/to/data-root data": "readers/test_readers.py",
    "python tools/train.py CONFIG --cfg-options train_dataloader.dataset.ann_file=/data/ava/annotations/ava_train_v2.2.csv "
    "train_dataloader.dataset.data_prefix.img=/data/ava/rawframes": "readers/test_readers.py",
    "python validate.py data/.clipquarry/runs/kinetics400/manual__2026-11-29/gx/clips":
        "quality/test_quality_own_page.py::test_the_examples_run_and_give_the_same_verdicts",
    "make test": "test_documented_commands.py::test_make_passes_the_tests_on",
    "make test-quick": "test_documented_commands.py::test_make_passes_the_tests_on",
    "make test-all": "test_documented_commands.py::test_make_passes_the_tests_on",
}  # fmt: skip
"""Lines that are run, or whose parts are, by tests of their own, since they need an engine, minutes or what no test machine has."""


def test_every_documented_command_is_run_by_a_test() -> None:
    left = [
        f"{page}: {line}"
        for line, page in LINES.items()
        if not line.startswith("clipquarry ") and line not in ELSEWHERE
    ]
    assert left == [], "no test is named for these"
    assert sorted(set(ELSEWHERE) - set(LINES)) == [], "no page has these"
    for place in set(ELSEWHERE.values()):
        path, _, name = place.partition("::")
        text = (PROJECT / "tests" / path).read_text(encoding="utf-8")
        assert re.search(rf"^def {name or 'test_'}", text, re.MULTILINE), f"there is no test {place}"


def test_make_passes_the_tests_on() -> None:
    """What ``make test`` and its relatives would run, as make says it."""
    import subprocess

    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "TESTS", "PYTEST", "WORKERS"))
    }
    for target, chosen in (("test", '"not heavy"'), ("test-quick", '"not heavy and not slow"'), ("test-all", '""')):
        done = subprocess.run(["make", "--dry-run", target], cwd=PROJECT, env=clean, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert f"-m {chosen}" in done.stdout, target


# --- clipquarry

NAMES = {
    "kinetics400": "kinetics_demo",
    "kinetics600": "kinetics_demo",
    "abseiling": LABELS[0],
    "_4VyRLtMUoc": GOOD[0],
}


class World:
    """A folder to stand in, the data root and the demo's data set."""

    def __init__(self, folder: Path, origin: Origin) -> None:
        self.here, self.data, self.home = folder / "here", folder / "data", folder / "home"
        for path in (self.here, self.data, self.home / "datasets", folder / "k400"):
            path.mkdir(parents=True)
        self.folders = {"/data/k400": folder / "k400", "/data": self.data, "~": self.home}
        self.environment: dict[str, str | None] = {
            **{name: None for name in os.environ if name.startswith("CLIPQUARRY_")}, "CLIPQUARRY_DATA": str(self.data),
            "CLIPQUARRY_DEMO_URL": origin.url, "NO_PROXY": "127.0.0.1",
        }  # fmt: skip

    def words(self, line: str) -> list[str]:
        """The line's words, with the demo's names and this world's folders in the place of the page's."""
        found = []
        for word in shlex.split(line)[1:]:
            for name, other in NAMES.items():
                word = re.sub(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", other, word)
            for name, path in self.folders.items():
                if word == name or word.startswith(f"{name}/"):
                    word = f"{path}{word.removeprefix(name)}"
                    break
            found.append(word)
        return found

    def __call__(self, line: str) -> list[str]:
        """Run the line; what went wrong, if anything."""
        done = CliRunner().invoke(main, self.words(line), env=self.environment)
        return [] if done.exit_code == 0 else [f"{line}: {done.exit_code}, {done.output[-1000:]} {done.exception!r}"]


def test_documented_clipquarry_commands(demo_origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, demo_origin)
    monkeypatch.chdir(world.here)
    demo_origin.set_plan({})  # what fails is other tests' story
    failed = world(f"clipquarry run kinetics400 --run {RUN} --limit 1 --resize --set short_edge=128")

    (world.home / "actions/pour water").mkdir(parents=True)
    make_video(world.home / "actions/pour water/cup 1.mp4", 1, 8)
    for number in range(2, 61):  # of so many a tenth is some
        (world.home / f"actions/pour water/cup {number}.mp4").write_bytes(
            (world.home / "actions/pour water/cup 1.mp4").read_bytes()
        )
    # What the pages' commands name beside the data set.
    (example,) = re.findall(
        r"^```yaml\n(schema: .*?)^```$", (PROJECT / "docs/dataset-yaml.md").read_text(), re.MULTILINE | re.DOTALL
    )
    for place in (world.here, world.home / "datasets"):
        (place / "my_actions.yaml").write_text(example)
    lock = world.data / ".clipquarry/releases/kinetics_demo" / RUN / "kinetics_demo.lock"
    for name in ("ours.lock", "theirs.lock", "ours/kinetics_demo.lock", "theirs/kinetics_demo.lock"):
        (world.here / name).parent.mkdir(exist_ok=True)
        shutil.copy(lock, world.here / name)
    plan = world.data / ".clipquarry/runs/kinetics_demo" / RUN / "plan"
    shutil.copy(plan / "items/shard-00000.parquet", world.here / "shard-00000.parquet")
    shutil.copy(plan / "params/resize-shard.json", world.here / "resize.params.json")
    (world.here / "kinetics_demo").symlink_to(world.data / "kinetics_demo")

    lines = [line for line in LINES if line.startswith("clipquarry ") and line not in ELSEWHERE]
    assert len(lines) > 20
    # A release is of lists as its run wrote them: a later run, which writes them anew, has its own.
    for line in sorted(lines, key=lambda one: (one == "clipquarry rebuild", not one.startswith("clipquarry release"))):
        if line == "clipquarry rebuild":  # "move the damaged file away"
            (world.data / ".clipquarry/ledger.sqlite").rename(world.here / "damaged")
        failed += world(line)
    assert failed == []
    assert (world.here / "differences.csv").exists()
    assert (world.here / "part-00000.parquet").exists()
