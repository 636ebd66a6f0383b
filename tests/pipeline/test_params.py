"""A run's parameters: nothing is accepted and dropped, and everything is checked before anybody is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from clipquarry.acquire.annotation_files import AnnotationFile
from clipquarry.cli import main
from clipquarry.datasets.load import find_spec, load_all
from clipquarry.errors import UserError
from clipquarry.files import read_json, sha256_of
from clipquarry.pipeline.annotation_choice import annotation_spec, check_kept, remember
from clipquarry.pipeline.family import params_model
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.param_checks import check_here, parse_run_params
from clipquarry.pipeline.params import RunParams, sections_of
from clipquarry.pipeline.stages import NothingToDo, run_stage
from clipquarry.settings import DataRoot
from pipeline_world import World


@pytest.mark.parametrize(
    ("dataset", "params", "words"),
    [
        ("kinetics400", {"frame_rate": 10}, "'frame_rate' does nothing in this run: set frames=true"),
        ("kinetics400", {"frame_width": 64, "frame_height": 48}, "'frame_width' does nothing"),
        ("kinetics400", {"short_edge": 128}, "set resize=true or frames=true"),
        ("kinetics400", {"short_edge": 128, "frames": True, "frame_width": 64, "frame_height": 48}, "take its place"),
        ("kinetics400", {"sources": ["youtube"], "local_folder": "/x"}, "local_folder is the address of the source 'local'"),
        ("kinetics400", {"sources": ["local"], "mirror_url": "http://h/{clip}.mp4"}, "the source 'mirror', which"),
        ("kinetics400", {"mirror_url": "http://h/{clipp}.mp4"}, "holds {clipp}"),
        ("kinetics400", {"mirror_url": "ftp://h/{clip}.mp4"}, "begins with http"),
        ("kinetics400", {"local_folder": "/x/{name}.mp4"}, "holds {name}"),
        ("kinetics400", {"sources": ["local", "local"]}, "names 'local' twice"),
        ("kinetics400", {"retry_all": True, "as_of": "2026-01-01T00:00:00Z"}, "as_of decides nothing"),
        ("kinetics400", {"annotation_sources": ["nowhere"]}, "no annotation source 'nowhere'; it has deepmind, "),
        ("kinetics400", {"dryrun": True}, "no parameter 'dryrun'"),
        ("ava", {"detector": "hog"}, "set proposals=detect"),
        ("ava", {"score": 0.5}, "set proposals=detect"),
        ("ava", {"proposals": "detect", "frames": False}, "also set proposals=none"),
        ("ava_kinetics", {"detector": "hog", "device": "cpu"}, "set detector=mmdet"),
        ("ava_kinetics", {"detector": "mmdet", "detector_checkpoint": "/w.pth", "detector_sha256": "0" * 64}, "from a URL"),
        ("ava_kinetics_flat", {"merge": True}, "no parameter 'merge'"),
        ("ava_kinetics_flat", {"kinetics_list": "x"}, "no parameter 'kinetics_list'"),
        ("ava_kinetics_flat", {"detector": "hog"}, "no parameter 'detector'"),
        ("ava_kinetics_flat", {"frame_rate": 5}, "no parameter 'frame_rate'"),
    ],
)  # fmt: skip
def test_what_would_do_nothing_is_refused(dataset: str, params: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as raised:
        parse_run_params(params, find_spec(dataset))
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "dataset", ["kinetics400", "kinetics700_2020_flat", "ava", "ava_kinetics", "ava_kinetics_flat"]
)
def test_what_the_trigger_form_sends_is_right(dataset: str) -> None:
    """All parameters at their defaults, empty ones as null."""
    spec = find_spec(dataset)
    sent = {
        name: None if value in ("", []) else value
        for name, value in parse_run_params({}, spec).model_dump(mode="json").items()
    }
    assert parse_run_params(sent, spec) == parse_run_params({}, spec)


def test_a_layout_that_names_no_folder_for_what_is_asked() -> None:
    spec = find_spec("kinetics400")
    bare = spec.model_copy(update={"layout": {"videos": "videos_{split}"}})
    for step, folder in (("resize", "resized"), ("frames", "rawframes")):
        with pytest.raises(UserError, match=f"needs a folder '{folder}'"):
            parse_run_params({step: True}, bare)
    assert parse_run_params({}, bare)


def test_what_this_machine_does_not_have(tmp_path: Path) -> None:
    spec = find_spec("kinetics400")
    (tmp_path / "clips").mkdir()

    def check(environ: dict[str, str] | None = None, *, steps_here: bool = True, **params: Any) -> None:
        check_here(parse_run_params(params, spec), spec, steps_here=steps_here, environ=environ or {})

    with pytest.raises(UserError, match="The source 'mirror' is asked for and switched off: set CLIPQUARRY_MIRROR"):
        check(sources=["mirror"])
    check({"CLIPQUARRY_MIRROR": "http://h"}, sources=["mirror"])
    check(sources=["mirror"], mirror_url="http://h/{clip}.mp4")
    with pytest.raises(UserError, match="'label_map' names /nowhere"):
        check(label_map="/nowhere.txt")
    with pytest.raises(UserError, match="/nowhere, which is no folder"):
        check(local_folder="/nowhere/{clip}.mp4")
    check(local_folder=f"{tmp_path}/clips/{{clip}}.mp4")
    check(local_folder="/nowhere", steps_here=False)  # a container may have it


def test_frames_of_a_flat_layout_have_the_rate_and_size_that_was_chosen(tmp_path: Path) -> None:
    from clipquarry.families.clips.jobs import _frames_params

    world = World(tmp_path / "data")
    usual = {"fps": 30, "short_edge": 256, "width": 0, "height": 0}
    for given, made in (
        ({}, usual),
        ({"frame_rate": 0}, {**usual, "fps": 0}),
        ({"frame_rate": 10, "short_edge": 64}, {**usual, "fps": 10, "short_edge": 64}),
        ({"frame_width": 64, "frame_height": 48}, {**usual, "short_edge": 0, "width": 64, "height": 48}),
    ):
        ctx = make_context("kinetics700_2020_flat", "one", {"frames": True, **given}, settings=world.settings)
        params = _frames_params(ctx)
        assert {name: params[name] for name in usual} == made
        assert (params["pattern"], params.get("parity", False), params["quality"]) == ("%06d.jpg", False, 1)


def test_the_annotation_source_is_the_one_that_was_chosen(tmp_path: Path) -> None:
    world = World(tmp_path / "data")

    def context(*sources: str) -> Any:
        return make_context("kinetics400", "one", {"annotation_sources": list(sources)}, settings=world.settings)

    backup = context("openmmlab")
    assert [source.id for source in annotation_spec(backup).annotation_sources] == ["openmmlab"]
    assert [source.id for source in annotation_spec(context("openmmlab", "deepmind")).annotation_sources] == [
        "openmmlab",
        "deepmind",
    ]
    assert annotation_spec(context()) == backup.spec
    assert annotation_spec(backup).item_sources == backup.spec.item_sources
    path = backup.spec.splits["val"]
    csv = world.root / backup.spec.root / path
    check_kept(backup, [path])
    csv.parent.mkdir(parents=True)
    csv.write_text("label,youtube_id\n")
    with pytest.raises(UserError, match=r"is there already, and did not come .*move it away to get it from openmmlab"):
        check_kept(backup, [path])
    remember(backup, [AnnotationFile("val", csv, "deepmind", sha256_of(csv), 1)])
    with pytest.raises(UserError, match="from the source 'deepmind'"):
        check_kept(backup, [path])
    check_kept(context("openmmlab", "deepmind"), [path])
    check_kept(context(), [path])
    csv.write_text("a person's own\n")
    with pytest.raises(UserError, match="did not come from a source"):
        check_kept(context("deepmind"), [path])


class Command:
    """``clipquarry`` over a data root, where nobody answers."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __call__(self, *arguments: str, code: int = 0) -> Result:
        env = {
            "CLIPQUARRY_DATA": str(self.world.root),
            "CLIPQUARRY_DEMO_URL": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
        }
        done = CliRunner().invoke(main, list(arguments), env=env)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        assert done.exit_code == code, done.output
        return done


@pytest.fixture
def clipquarry(tmp_path: Path) -> Command:
    """Annotation files lie in their place, so that nobody has to be asked for them."""
    world = World(tmp_path / "data")
    for split in ("train", "val"):
        csv = world.root / f"kinetics_demo/annotations/kinetics_{split}.csv"
        csv.parent.mkdir(parents=True, exist_ok=True)
        rows = "".join(f"{label},{label[0] * 10}{split[0]},0,10,{split}\n" for label in ("abseiling", "zumba"))
        csv.write_text(f"label,youtube_id,time_start,time_end,split\n{rows}")
    return Command(world)


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "kinetics_demo"),
        ("run", "kinetics_demo", "--dry-run"),
        ("run", "kinetics_demo", "--set", "dry_run=true"),
    ],
)
def test_a_dry_run_is_one_however_it_is_said(clipquarry: Command, arguments: tuple[str, ...]) -> None:
    said = clipquarry(*arguments, "--run", "dry", "--annotation-counts", "warn", "--label-map", "").stdout
    assert "dry run; 4 of 4 selected clips would be asked for" in said
    folder = clipquarry.world.settings.data.run("kinetics_demo", "dry")
    assert read_json(folder / "run.json")["params"]["dry_run"] is True
    assert not (folder / "recorded.parquet").exists()
    assert not (clipquarry.world.root / ".clipquarry/state/kinetics_demo.parquet").exists()


def test_a_refresh_has_a_dry_run_too(clipquarry: Command) -> None:
    world = clipquarry.world
    world.go(world.context(run="zero"))
    for how in (("--dry-run",), ("--set", "dry_run=true")):
        said = clipquarry(
            "refresh", "kinetics_demo", "--run", f"dry{len(how)}", "--annotation-counts", "warn", "--retry-all", *how
        )
        assert "dry run; " in said.stdout
        assert not (world.settings.data.run("kinetics_demo", f"dry{len(how)}") / "recorded.parquet").exists()


def test_a_dry_run_takes_nothing_from_a_run_of_its_name(clipquarry: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPQUARRY_DEMO_URL", "http://127.0.0.1:9")
    world = clipquarry.world
    ctx = world.context(run="one")
    run_stage("annotations", ctx)
    world.go(ctx)
    before = ctx.plan_file.read_bytes()
    said = clipquarry("plan", "kinetics_demo", "--run", "one", code=2).stderr.splitlines()[-1]
    assert "The run 'one' of kinetics_demo was no dry run: give the dry run a name of its own." in said
    assert "is a full run" in clipquarry("refresh", "kinetics_demo", "--run", "one", code=2).stderr.splitlines()[-1]
    assert ctx.plan_file.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--limit", "1", "--set", "limit=2"), "'limit' is given twice"),
        (("run", "--set", "limit=1", "--set", "limit=2"), "'limit' is given twice"),
        (("plan", "--set", "dry_run=false"), "'clipquarry plan' is a dry run"),
        (("run", "--frame-rate", "5"), "'frame_rate' does nothing"),
        (("run", "--local-folder", "/nowhere"), "/nowhere, which is no folder"),
        (("run", "--label-map", "/nowhere"), "/nowhere, which is no file"),
        (("run", "--annotation-source", "x"), "no annotation source 'x'; it has origin_csv"),
    ],
)
def test_wrong_options_are_told_before_anybody_is_asked(
    clipquarry: Command, arguments: tuple[str, ...], words: str
) -> None:
    """The annotation files are away: whoever asked for them would wait, and say so."""
    for csv in clipquarry.world.root.glob("kinetics_demo/annotations/*.csv"):
        csv.unlink()
    command, *rest = arguments
    done = clipquarry(command, "kinetics_demo", "--run", "one", *rest, code=2)
    assert words in done.stderr.strip().splitlines()[-1]
    assert "annotation file" not in done.stderr


def test_a_run_that_died_early_tells_why(clipquarry: Command) -> None:
    for csv in clipquarry.world.root.glob("kinetics_demo/annotations/*.csv"):
        csv.unlink()
    clipquarry("run", "kinetics_demo", "--run", "early", code=11)
    folder = clipquarry.world.settings.data.run("kinetics_demo", "early")
    verdict = read_json(folder / "report/report.json")["verdict"]
    assert (verdict["level"], verdict["word"]) == ("bad", "Failed")
    assert verdict["headline"].startswith(
        "“annotations” failed: The annotation file of kinetics_demo, split 'train', could not be downloaded"
    )
    page = (folder / "report/index.html").read_text()
    assert "Failed" in page and "What the first line says, and nothing else." in page
    for command in ("release", "report"):
        done = clipquarry(command, "kinetics_demo", "--run", "early", code=2 if command == "release" else 0)
        assert "Traceback" not in done.output
    assert "kinetics_demo, run early: There is no plan" in clipquarry("release", "kinetics_demo", code=2).stderr
    assert "failed in 'annotations'" in clipquarry("report", "kinetics_demo").stderr


def test_a_report_of_wrong_parameters_is_written_and_says_so(tmp_path: Path) -> None:
    """As Airflow's tasks do it: each makes its own context of what the run was started with."""
    world = World(tmp_path / "data")
    ctx = make_context("kinetics_demo", "wrong", {"colour": "blue"}, settings=world.settings, started=True)
    with pytest.raises(UserError, match="no parameter 'colour'"):
        run_stage("annotations", ctx)
    with pytest.raises(NothingToDo):
        run_stage("record", ctx)
    page = Path(run_stage("report", ctx))
    told = read_json(page.with_name("report.json"))
    assert "no parameter 'colour'" in told["verdict"]["headline"]
    assert told["verdict"]["level"] == "bad"
    assert ["colour", "blue"] in told["params"]


def test_a_failure_is_forgotten_when_the_stage_ends_well_after_all(tmp_path: Path) -> None:
    from clipquarry.pipeline.failures import failures_of

    world = World(tmp_path / "data")
    ctx = world.context()
    with pytest.raises(UserError):
        run_stage("plan", world.context(classes=["curling"]))
    assert [failure.task for failure in failures_of(ctx.folder)] == ["plan"]
    run_stage("plan", ctx)
    assert failures_of(ctx.folder) == []


def test_another_data_set_to_compare_with_must_be_on_this_disk(tmp_path: Path) -> None:
    spec = find_spec("kinetics400")
    state = DataRoot(tmp_path).state("kinetics600")
    state.parent.mkdir(parents=True)
    state.touch()
    check_here(
        parse_run_params({"compare_with": ["kinetics600"]}, spec), spec, steps_here=True, data=DataRoot(tmp_path)
    )
    for name in ("kinetics700", "kinetics400", "../kinetics600"):
        chosen = parse_run_params({"compare_with": [name]}, spec)
        with pytest.raises(UserError, match="no other data set that was fetched"):
            check_here(chosen, spec, steps_here=True, data=DataRoot(tmp_path))
    with pytest.raises(UserError, match="twice"):
        parse_run_params({"compare_with": ["a", "a"]}, spec)


@pytest.mark.parametrize(
    "model",
    sorted({params_model(spec) for spec in load_all()[0].values()}, key=lambda model: model.__name__),
    ids=lambda model: str(model.__name__),
)
def test_every_field_stands_in_one_section_of_the_form(model: type[RunParams]) -> None:
    sections = sections_of(model)
    assert sorted(name for fields in sections.values() for name in fields) == sorted(model.model_fields)
    assert "More" not in sections


def test_a_field_that_nobody_placed_is_shown_all_the_same() -> None:
    class Mine(RunParams):
        colour: str = ""

    assert sections_of(Mine)["More"] == ["colour"]
    assert "More" not in sections_of(RunParams)
