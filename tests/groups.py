"""Which tests share a worker, and which ones ``make test-quick`` and ``make test`` leave out; decided by fixture and path.

Two workers run the suite (``-n 2 --dist loadgroup``). All tests of a group run on one of them:

- ``heavy``: whatever starts Docker, Airflow or Celery. One at a time, because they wait for heartbeats and share the machine's engine.
- the folder or file whose module- or session-wide fixtures a test uses, so that no fixture is made twice.

Any other test goes to whichever worker is free. ``heavy`` comes first, then the other groups, then single tests, which fill what is left.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent

HEAVY_FIXTURES = frozenset({"docker_engine", "loaded_airflow", "deployment", "airflow_server"})
HEAVY_PATHS = ("e2e/", "plugins/test_dags.py")
HEAVY_NAMES = ("benchmark_of_airflow",)

SLOW_FIXTURES = frozenset({"postgres", "chromium"})
SLOW_PARAMETERS = frozenset({"postgresql"})
"""Of fixtures that ask for the server only in one of their forms."""
SLOW_PATHS = (
    "people/test_mmdet.py", "readers/test_readers.py", "readers/test_pipeline_release.py", "readers/test_data_sets.py", "readers/test_skeleton_packages.py", "readers/test_own_ava_config.py", "readers/test_datumaro.py",  # PyTorch
    "acquire/test_acquire_youtube",  # yt-dlp against servers of the test, and its waits
    "images/test_compose.py",  # the program docker compose
    "operators/test_kubernetes_",  # a stand-in for the API server of a cluster
    "pipeline/test_clocks_of_sources.py", "pipeline/test_two_data_sets.py", "pipeline/test_changes.py", "pipeline/test_own_clips.py", "pipeline/test_sound_run.py",  # whole runs
    "pipeline/test_params.py::test_a_dry_run_", "pipeline/test_params.py::test_a_refresh_has_a_dry_run", "pipeline/test_crawl.py::test_a_refresh_that_asks_nothing",  # whole runs
    "pipeline/test_inherit.py::test_a_refresh_asks_whom", "readers/test_odd_rows.py", "families/boxes/test_boxes_sample.py", "families/boxes/own/test_own_ava_small.py", "families/boxes/own/test_own_forms.py", "families/boxes/own/test_own_demo.py",  # whole runs
    "operators/test_process_runtime.py", "plugins/test_operators.py",  # dozens of processes that load the library
    "steps/test_detect_step.py", "steps/test_track_step.py",  # people are looked for
    "report/test_report_page.py", "report/test_report_verdict.py", "report/test_report_boxes", "report/test_report_videos.py",  # pages with their plots
    "steps/test_clips.py", "steps/test_one_bad_file.py",  # dozens of encodes
    "steps/test_frames_step.py", "steps/test_resize_step.py", "steps/test_encode_video_step.py", "steps/test_collect_mixed_step.py", "steps/test_audio_step.py", "pipeline/test_media.py",  # dozens of encodes
    "plugins/test_local.py",  # programs that are started, killed and started again
    "pipeline/test_ava_run.py", "pipeline/test_run_all.py", "pipeline/test_approving.py", "pipeline/test_archive_run.py", "pipeline/test_full_disk.py", "pipeline/test_chains.py", "pipeline/test_releases.py", "pipeline/test_flat_kinetics.py",  # whole runs
    "quality/", "families/tubes/test_tube_gates.py",  # hundreds of runs of Great Expectations, of a second each
    "media/", "steps/test_excerpt_step.py",  # hundreds of encodes
    "test_documented_commands.py",  # whole runs
    "test_pictures.py::test_the_pictures_of_people",  # a whole run, and a browser
    "datasets/test_datasets_read.py",  # mypy over everything
    "families/test_toy_family.py", "families/test_new_data_set.py", "families/test_samples.py", "families/segments/test_thumos14.py", "families/segments/test_activitynet.py", "families/tubes/test_tubes.py", "families/skeletons/test_skeleton_runs.py", "families/clips/",  # whole runs
    "pipeline/test_flow_run.py", "pipeline/test_own_checks.py", "pipeline/test_resume.py", "pipeline/test_damaged_plan.py",  # whole runs
    "steps/test_flow_step.py",  # optical flow of dozens of videos
    "steps/test_collect_youtube.py", "steps/test_fetch_youtube.py",  # yt-dlp, and the breaker's waits
    "test_wheel.py",  # a build
    "annotations/test_hvu_tags.py::test_every_tenth_", "annotations/test_hvu_tags.py::test_clips_have_",  # many thousands of rows; files that only some machines have
    "bench/",  # programs that measure, with small numbers
)  # fmt: skip
QUICK_PATHS = (
    "quality/test_quality_wording.py", "families/clips/test_own_frames.py::test_keys_that",
    "families/clips/test_divided.py", "families/clips/test_file_list_oracles.py",
    "families/clips/test_hvu.py::test_published_numbers",
    "families/clips/test_kinetics710.py::test_a_label_of_no_release",
    "families/clips/test_moments.py::test_categories_that", "families/clips/test_moments.py::test_rows_", "families/clips/test_moments.py::test_the_number_of_a_class",
    "families/clips/test_own_files.py::test_what_cannot_be_described", "families/clips/test_own_files.py::test_names_that_yaml",
    "families/clips/test_twentybn.py::test_classes_are", "families/clips/test_twentybn.py::test_entries_of_json",
    "families/clips/test_twentybn.py::test_lists_of_classes", "families/clips/test_twentybn.py::test_rows_of_csv",
)  # fmt: skip
"""In slow files and folders, but of milliseconds: words and keys that fail early. Tests with the fixture ``world`` stay slow."""
SLOW_NAMES = ("kill", "memory_does_not_grow")
"""Whole steps that die and are run again; many thousands of rows."""


def tier(item: pytest.Item) -> str:
    """``heavy``, ``slow`` (needs a server, a browser or minutes) or ``quick``."""
    path, fixtures = str(item.path.relative_to(TESTS)), set(item.fixturenames)
    name = getattr(item, "originalname", item.name)
    if path.startswith(HEAVY_PATHS) or fixtures & HEAVY_FIXTURES or any(word in name for word in HEAVY_NAMES):
        return "heavy"
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    asks_for_a_server = fixtures & SLOW_FIXTURES or any(
        value in SLOW_PARAMETERS for value in parameters if isinstance(value, str)
    )
    where = f"{path}::{name}"
    is_cheap = where.startswith(QUICK_PATHS) and "world" not in fixtures
    takes_long = (where.startswith(SLOW_PATHS) and not is_cheap) or any(word in name for word in SLOW_NAMES)
    return "slow" if asks_for_a_server or takes_long else "quick"


def shared_place(item: pytest.Item) -> str:
    """The file or folder below ``tests`` that owns a fixture which outlives the test; ``""`` where each worker may have its own.

    Fixtures of the root's conftest belong to all folders: a worker that needs one makes its own.
    """
    places = []
    for name in item.fixturenames:
        for fixture in item._fixtureinfo.name2fixturedefs.get(name, ()):  # type: ignore[attr-defined]
            place = fixture.baseid.removeprefix("tests").strip("/")
            if fixture.scope != "function" and place and "::" not in fixture.baseid:
                places.append(place)
    return min(places, key=len, default="")


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranked = []
    for number, item in enumerate(items):
        found = tier(item)
        group = "heavy" if found == "heavy" else shared_place(item)
        if found != "quick":
            item.add_marker(found)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
        ranked.append((found != "heavy", not group, found == "quick", group, number, item))
    items[:] = [item for *_, item in sorted(ranked, key=lambda one: one[:5])]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """pytest 9.2.0 silently undoes the groups (pytest-xdist#1386): xdist passes them on as the end of the tests' ids."""
    marked = (item for item in session.items if item.get_closest_marker("xdist_group"))
    if getattr(session.config.option, "loadgroup", False) and any("@" not in item.nodeid for item in marked):
        raise pytest.UsageError("--dist loadgroup has no effect with this pytest and pytest-xdist: see pyproject.toml")
