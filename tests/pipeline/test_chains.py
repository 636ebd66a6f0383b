"""Data sets that are made of others: when they are due, what starts by itself, and what a run of them takes from."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from chain_fixture import LEFT, RIGHT, asked, automatic, change, lock, persons
from chain_fixture import world as world
from chain_world import CLIPS, DERIVED, PARTS, ChainWorld
from clipquarry.datasets.load import find_spec, load_spec
from clipquarry.datasets.ways import may_lack, parts_of
from clipquarry.errors import GateBlocked, UserError
from clipquarry.files import read_json, write_json
from clipquarry.pipeline.context import update_run_file
from clipquarry.pipeline.inherit import remember
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.releases import is_of_all, made_of_in, standing
from clipquarry.pipeline.run import run_all
from clipquarry.pipeline.stages import NothingInThisRun, run_stage

pytestmark = pytest.mark.timeout(600)


def there(world: ChainWorld) -> set[str]:
    return {path.stem[:11] for path in (world.data / DERIVED).glob("videos_*/*/*.mp4")}


def test_a_release_names_those_that_it_is_made_of(world: ChainWorld) -> None:
    now = {part: standing(part, world.settings).fingerprint for part in PARTS}
    assert made_of_in(lock(world)) == now and all(len(one) == 64 for one in now.values())
    assert "made_of" not in lock(world, LEFT).read_text(), "locks of other data sets stay as they were"
    assert asked(world) == (
        False,
        "Nothing changed: the newest release of both_parts is made of those of left_part, right_part.",
    )
    with pytest.raises(NothingInThisRun, match="Nothing changed"):
        run_stage("made_of", automatic(world, "b2"))
    assert not (world.data / f".clipquarry/runs/{DERIVED}/b2").exists(), "it leaves nothing behind"


def test_a_changed_part_starts_one_run_that_makes_what_the_last_one_made(world: ChainWorld) -> None:
    world.make(LEFT, "l2", 1)
    assert asked(world) == (True, "both_parts is due: left_part changed since its newest release.")
    ctx = automatic(world, "b2")
    assert ctx.params.frames and not ctx.params.retry_all, "what is made is repeated, but not what one day asked for"
    run_all(ctx)
    assert there(world) == {CLIPS[LEFT][0], CLIPS[LEFT][1], CLIPS[RIGHT][0]}
    assert lock(world).parent.name == "b2"
    assert len(list((world.data / DERIVED).glob("rawframes_left/*/*/"))) == 2
    assert not asked(world)[0]


def test_two_parts_that_change_at_once_give_one_run(world: ChainWorld) -> None:
    world.make(LEFT, "l2", 1)
    world.make(RIGHT, "r2", 1)
    assert asked(world) == (True, "both_parts is due: left_part, right_part changed since its newest release.")
    first = automatic(world, "b2")
    run_stage("made_of", first)
    assert asked(world)[1].startswith("The run b2 of both_parts was started for these releases"), (
        "no second one beside it"
    )
    run_all(first)
    with pytest.raises(NothingInThisRun, match="Nothing changed"):
        run_stage("made_of", automatic(world, "b3"))


def test_a_change_while_a_run_is_active_is_not_lost(world: ChainWorld) -> None:
    world.make(LEFT, "l2", 1)
    ctx = automatic(world, "b2")
    run_stage("made_of", ctx)
    world.make(RIGHT, "r2", 1)  # after the run noted what it takes from
    assert asked(world)[0], "another run is due after this one"
    run_all(ctx)
    assert made_of_in(lock(world))[RIGHT] != standing(RIGHT, world.settings).fingerprint
    assert asked(world) == (True, "both_parts is due: right_part changed since its newest release.")
    run_all(automatic(world, "b3"))
    assert there(world) == {CLIPS[part][number] for part in PARTS for number in (0, 1)}
    assert not asked(world)[0]


def test_a_part_that_is_not_whole_is_waited_for(world: ChainWorld) -> None:
    world.give(LEFT, 1)
    world.give(LEFT, 2)
    world.run(LEFT, "trial", "--limit", "2")
    sentence = "both_parts waits until all that it is made of is whole: the newest release of left_part, trial, is of a run over a part of it."
    assert asked(world) == (False, sentence)
    with pytest.raises(NothingInThisRun, match="is of a run over a part of it"):
        run_stage("made_of", automatic(world, "b2"))
    world.run(LEFT, "whole")
    assert asked(world)[0]
    shutil.rmtree(world.data / f".clipquarry/releases/{RIGHT}")
    assert asked(world)[1].endswith("is whole: right_part has no release yet.")


def test_a_part_without_a_release_is_not_needed_where_items_come_from_elsewhere(world: ChainWorld) -> None:
    world.make(LEFT, "l2", 1)
    shutil.rmtree(world.data / f".clipquarry/releases/{RIGHT}")
    assert asked(world)[1].startswith("both_parts waits until all that it is made of is whole"), (
        "nobody else has its clips"
    )
    path = world.specs / f"{DERIVED}.yaml"
    more = f'  - {{id: mine, kind: local, provides: items, content: clip, path: "{world.clips}/{{clip}}.mp4"}}\n'
    path.write_text(f"{path.read_text()}{more}made_of: [{LEFT}/release, {RIGHT}/release]\n")
    assert asked(world) == (True, "both_parts is due: left_part changed since its newest release.")


def test_a_persons_run_works_whatever_its_parts_are(world: ChainWorld) -> None:
    shutil.rmtree(world.data / f".clipquarry/releases/{RIGHT}")
    world.give(LEFT, 1)
    world.run(LEFT, "trial", "--limit", "2")
    told = world.run(DERIVED, "b2").output
    assert "Not all that both_parts is made of is whole" in told and "3 of 10 clips are there" in told
    assert set(made_of_in(lock(world))) == {LEFT}
    world.run(DERIVED, "b3")  # a person may make it again, changed or not


def test_nothing_starts_before_a_person_made_it_once(tmp_path: Path) -> None:
    world = ChainWorld(tmp_path / "new")
    world.make(LEFT, "l1", 0)
    world.make(RIGHT, "r1", 0)
    sentence = "both_parts follows what it is made of after its first full run: start that by hand."
    assert asked(world) == (False, sentence)
    world.run(DERIVED, "trial", "--limit", "1")
    assert asked(world) == (False, sentence), "a trial is no consent to all of it"


def test_it_can_be_switched_off(world: ChainWorld) -> None:
    world.make(LEFT, "l2", 1)
    with pytest.raises(NothingInThisRun, match="CLIPQUARRY_CHAINS is off"):
        run_stage("made_of", automatic(world, "b2", CLIPQUARRY_CHAINS="off"))
    with pytest.raises(UserError, match="CLIPQUARRY_CHAINS is 'no'; it must be on or off"):
        automatic(world, "b2", CLIPQUARRY_CHAINS="no")


def test_a_trial_and_a_refresh_leave_what_it_is_made_of(world: ChainWorld) -> None:
    before = made_of_in(lock(world))
    world.make(LEFT, "l2", 1)
    world.run(DERIVED, "trial", "--limit", "3")
    assert made_of_in(lock(world)) == before and asked(world)[0], "it looked at a part only"


def test_a_run_that_failed_is_not_started_again_for_the_same_releases(world: ChainWorld) -> None:
    world.make(LEFT, "l2", 1)
    (world.data / DERIVED / "videos_left").rename(world.data / "aside")
    (world.data / DERIVED / "videos_left").write_text("a file in the folder's place")
    with pytest.raises(GateBlocked):
        run_all(automatic(world, "b2"))
    assert asked(world)[1].startswith("The run b2 of both_parts was started for these releases")
    world.make(LEFT, "l3", 2)
    assert asked(world)[0], "the parts changed again"


@pytest.mark.parametrize("moment", ["followed", "made_of", "plan", "release"])
def test_a_run_that_was_killed_goes_on(world: ChainWorld, moment: str) -> None:
    """Killed after the note of the data set, after that of the run, after the plan, or before the note of the release."""
    world.make(LEFT, "l2", 1)
    ctx = automatic(world, "b2")
    if moment == "release":
        run_all(ctx)
        world.settings.data.release_note(DERIVED).unlink()
    else:
        run_stage("made_of", ctx)
        if moment == "followed":
            ctx.place.made_of.unlink()
        if moment == "plan":
            run_stage("annotations", ctx)
            run_stage("plan", ctx)
            world.make(RIGHT, "r2", 1)
    noted = read_json(ctx.place.made_of) if ctx.place.made_of.exists() else None
    run_all(automatic(world, "b2"))
    assert lock(world).parent.name == "b2"
    assert noted is None or made_of_in(lock(world)) == noted, (
        "what was taken from older releases is not said to be newer"
    )
    assert asked(world)[0] is (moment == "plan")


def test_an_annotation_that_was_copied_from_a_part_follows_it(world: ChainWorld) -> None:
    theirs, ours = world.data / LEFT / "annotations/train.csv", world.data / DERIVED / "annotations/left.csv"
    text = theirs.read_text()
    theirs.write_text("".join(text.splitlines(keepends=True)[:3]))
    world.run(LEFT, "l2")
    run_all(automatic(world, "b2"))
    assert ours.read_text() == theirs.read_text() != text
    assert not asked(world)[0]
    ours.write_text(text)  # a person's own
    theirs.write_text("".join(text.splitlines(keepends=True)[:4]))
    world.run(LEFT, "l3")
    run_all(automatic(world, "b3"))
    assert ours.read_text() == text, "it is kept"


def test_parts_are_named_or_read_off_the_sources(world: ChainWorld) -> None:
    assert parts_of(find_spec(DERIVED, (world.specs,))) == [*PARTS]
    assert parts_of(find_spec("kinetics710", ())) == ["kinetics400", "kinetics600", "kinetics700"]
    assert parts_of(find_spec("ava_kinetics", ())) == ["kinetics700", "ava"]
    assert parts_of(find_spec("kinetics400", ())) == []
    assert may_lack(find_spec("kinetics710", ())) == set() and "kinetics400" in may_lack(find_spec("hvu", ()))
    assert may_lack(find_spec("ava_kinetics", ())) == {"kinetics700"}, "AVA's own csv files are merged"
    path = world.specs / f"{DERIVED}.yaml"
    path.write_text(path.read_text() + f"made_of: [{DERIVED}/release]\n")
    with pytest.raises(UserError, match="it is of the data set itself"):
        load_spec(path)


FIRST = "both_parts follows what it is made of after its first full run: start that by hand."


def test_a_first_run_that_was_stopped_at_its_plan_is_no_consent(world: ChainWorld) -> None:
    data, spec = world.settings.data, find_spec(DERIVED, (world.specs,))
    data.last_params(DERIVED).unlink()  # the release that is there is a trial's
    ctx = persons(world, "stopped", frames=True)
    for name in ("made_of", "annotations", "plan"):
        run_stage(name, ctx)
    shutil.rmtree(ctx.folder)
    change(world, LEFT)
    refresh = make_context(DERIVED, "again", {}, kind="refresh", settings=world.settings)
    assert asked(world) == (False, FIRST) and not is_of_all(refresh)
    assert data.data_sets_released_in_full() == [*PARTS]
    remember(spec, data, "stopped", ctx.params, "record")
    assert is_of_all(refresh), "the state knows all items"
    assert asked(world) == (False, FIRST), "a run that is interrupted records what it has, and is no consent yet"
    remember(spec, data, "stopped", ctx.params, "release")
    assert asked(world)[0] and data.data_sets_released_in_full() == [DERIVED, *PARTS]
    remember(spec, data, "other", persons(world, "other").params, "plan")
    assert is_of_all(refresh) and asked(world)[0], "what was once reached stays"
    assert automatic(world, "b2").params.frames, "the parameters of a stopped run are not repeated"
    shutil.rmtree(data.release(DERIVED))
    assert asked(world) == (False, FIRST)


def test_a_file_of_an_earlier_version_says_that_there_was_a_full_run(world: ChainWorld) -> None:
    data, spec = world.settings.data, find_spec(DERIVED, (world.specs,))
    told = read_json(data.last_params(DERIVED))
    assert told["recorded"] and told["released"] == {"run": "b1", "params": told["params"]}
    write_json(data.last_params(DERIVED), {name: told[name] for name in ("run", "params")})
    change(world, LEFT)
    assert data.had_full_run(DERIVED) and asked(world)[0] and automatic(world, "b2").params.frames
    remember(spec, data, "stopped", persons(world, "stopped").params, "plan")
    assert data.had_full_run(DERIVED) and asked(world)[0] and automatic(world, "b2").params.frames


def test_a_lock_that_names_no_parts_starts_nothing_until_one_is_newer(world: ChainWorld) -> None:
    path = lock(world)
    head, _, rows = path.read_text().partition("\n")
    of_parts = json.loads(head)
    del of_parts["made_of"]
    path.write_text(json.dumps(of_parts) + "\n" + rows)
    noted = world.data / f".clipquarry/runs/{DERIVED}/b1/made_of.json"
    write_json(noted, {})
    assert asked(world)[0], "this version was made of none"
    noted.unlink()  # earlier versions noted nothing
    assert asked(world)[1].startswith("Nothing changed")
    change(world, LEFT)
    assert asked(world) == (True, "both_parts is due: left_part changed since its newest release.")
    trial = path.parents[1] / "trial" / path.name
    trial.parent.mkdir()
    shutil.copy(path, trial)
    world.settings.data.latest_release(DERIVED).write_text("trial\n")
    assert lock(world) == trial and asked(world)[0], "a trial looked at no part"


def test_nothing_starts_beside_a_persons_run_or_after_its_failure(world: ChainWorld) -> None:
    change(world, LEFT)
    ctx = persons(world, "mine")
    run_stage("made_of", ctx)
    update_run_file(ctx, started=datetime.now(UTC).isoformat())
    sentence = (
        "The run mine of both_parts was started for these releases and has published nothing so far. "
        "Another starts when one of them changes."
    )
    assert asked(world) == (False, sentence)
    with pytest.raises(NothingInThisRun, match="The run mine of both_parts"):
        run_stage("made_of", automatic(world, "b2"))
    assert asked(world, "mine")[0]
    update_run_file(persons(world, "mine", limit=1))
    assert asked(world)[0], "a trial makes nothing of them"
    update_run_file(make_context(DERIVED, "mine", {}, kind="refresh", settings=world.settings))
    assert asked(world)[0], "a run under the name of a refresh is refused after its first task"
    update_run_file(ctx, started="2020-01-01T00:00:00+00:00")
    assert asked(world)[0], "a run before the newest release is settled, and a part may come back to what it was"
    update_run_file(ctx, started=datetime.now(UTC).isoformat())
    change(world, RIGHT)
    assert asked(world)[0]


def test_a_released_run_that_is_begun_again_keeps_others_from_starting(world: ChainWorld) -> None:
    change(world, LEFT)
    run_stage("made_of", persons(world, "b1"))
    assert asked(world)[1].startswith("The run b1 of both_parts was started for these releases")


def test_parameters_that_no_longer_fit_are_not_replaced_by_defaults(world: ChainWorld) -> None:
    change(world, LEFT)
    path = world.settings.data.last_params(DERIVED)
    told = read_json(path)
    told["released"]["params"]["splits"] = ["renamed"]
    write_json(path, told)
    sentence = (
        "does not start by itself, because the parameters of its last full run no longer fit: start a run by hand"
    )
    due_now, why = asked(world)
    assert not due_now and sentence in why and "renamed" in why
    with pytest.raises(NothingInThisRun, match=sentence):
        automatic(world, "b2")
    assert persons(world, "b2").params.splits == []


def test_a_trial_notes_nothing_that_a_full_run_would_go_on_with(world: ChainWorld) -> None:
    theirs, ours = world.data / LEFT / "annotations/train.csv", world.data / DERIVED / "annotations/left.csv"
    text = theirs.read_text()
    theirs.write_text("".join(text.splitlines(keepends=True)[:3]))
    for params in ({"dry_run": True}, {"limit": 1}):
        ctx = persons(world, "b2", **params)
        run_stage("made_of", ctx)
        assert not ctx.place.made_of.exists() and ours.read_text() == text
    write_json(ctx.place.made_of, {LEFT: "old"})  # an earlier version did
    update_run_file(ctx)
    run_stage("made_of", persons(world, "b2"))
    assert read_json(ctx.place.made_of)[LEFT] == standing(LEFT, world.settings).fingerprint
    assert not ours.exists(), "the next task copies it anew"


def test_a_released_run_that_a_person_clears_is_made_again(world: ChainWorld) -> None:
    assert "Nothing changed" in run_stage("made_of", automatic(world, "b1"))
    shutil.rmtree(world.data / f".clipquarry/runs/{DERIVED}/b1")
    assert "Nothing changed" in run_stage("made_of", automatic(world, "b1")), "its folder may be removed"
    with pytest.raises(NothingInThisRun):
        run_stage("made_of", automatic(world, "b2"))
