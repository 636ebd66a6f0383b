"""Data sets' YAML: all families load, a wrong one is one sentence with its key and line."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from clipquarry.datasets.load import PACKAGED, find_spec, load_all, load_spec, spec_files
from clipquarry.datasets.safe_yaml import MAX_BYTES
from clipquarry.errors import Exit, SpecError
from clipquarry.families.boxes.options import boxes_options
from clipquarry.pipeline.family import default_params
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CLIPS = r"""
schema: dataset-spec/v1
name: toy_clips
title: Toy of labelled clips
family: clips
task: action-recognition
root: toy51
access: {kind: open, page: "https://example.org/toy/"}
options: {reader: kinetics_csv}
layout: {annotations: annotations, videos: "videos_{split}", rawframes: "rawframes_{split}"}
item: {level: 2, ext: [avi, mp4], id_regex: '[a-z_]+'}
labels: {source: annotation, count: 51, order: codepoint}
splits: {train: annotations/train.csv, val: annotations/validation.csv}
sources:
  - {id: csvs, kind: http, provides: annotations, url: "http://example.org/csvs.tar", archive: {into: annotations, rename: {a.csv: train.csv}}}
  - {id: by_hand, kind: manual, provides: annotations, howto: "sign in and put the csv files in annotations/"}
  - {id: disk, kind: local, provides: items, content: clip, path: "${CLIPS}"}
lists: {videos: "toy_{split}_videos.txt", rawframes: "toy_{split}_rawframes.txt"}
expected: {rows: {train: {count: 3570}, val: {count: [1530, 1520], provenance: memory}}}
missing: {warn: 0.05, error: 0.6}
"""

BOXES = r"""
schema: dataset-spec/v1
name: toy_boxes
title: Toy with versions
family: boxes
root: Toy
access: {kind: mixed, page: "http://example.org/download.html"}
variants: [v2.1, v2.2]
default_variant: v2.2
options: {items: videos}
layout: {annotations: annotations, videos: videos, excerpts: videos_15min, rawframes: rawframes}
labels: {source: file, count: 80, order: given}
splits: {train: "annotations/ava_train_v2.2.csv"}
sources:
  - {id: old, kind: http, provides: annotations, variants: [v2.1], into: annotations/a.csv, urls: ["http://a.example/x", "https://b.example/x"]}
  - {id: films, kind: http, provides: items, content: video, url: "https://example.org/{clip}"}
expected: {variants: {v2.1: {rows: {train: {count: 10024}}}}}
"""


def _refused(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "wrong.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(path) in sentence
    assert len(sentence) < 600
    assert caught.value.exit_code is Exit.USAGE
    return sentence


def _line(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


@pytest.mark.parametrize("path", spec_files(), ids=lambda path: path.stem)
def test_every_packaged_data_set_loads(path: Path) -> None:
    spec = load_spec(path)
    assert spec.name == path.stem
    assert set(spec.expected.rows) <= set(spec.splits)
    assert spec.annotation_sources or spec.family in ("tubes", "skeletons"), "only packages bring their annotations"
    assert spec.item_sources
    for part in spec.splits:
        names = [spec.folder(spec.items_in, part), *(spec.list_name(format_, part) for format_ in spec.lists)]
        assert "{" not in "".join(names)
    clips_have_classes = spec.family == "clips"
    assert bool(spec.lists) is clips_have_classes, "list files are of labelled clips"
    for source in spec.item_sources:
        assert source.kind != "dataset" or find_spec(source.dataset or "")
    for asset in spec.made_of:
        assert find_spec(asset.partition("/")[0])


def test_all_of_them_together() -> None:
    specs, errors = load_all()
    assert errors == []
    assert {"kinetics400", "kinetics600", "kinetics700", "kinetics_demo", "ava", "ava_kinetics"} <= set(specs)
    roots: dict[str, list[str]] = {}
    for name, spec in sorted(specs.items()):
        roots.setdefault(spec.root, []).append(name)
    shared = {root: names for root, names in roots.items() if len(names) > 1}
    assert shared == {"ActivityNet": ["activitynet", "activitynet_bsn", "activitynet_features"]}, (
        "a folder is one's own"
    )
    # The reference has one folder for all three: what two of them name alike is the same.
    official, bsn, features = (specs[name] for name in shared["ActivityNet"])
    assert official.layout == bsn.layout and not set(features.layout.values()) & set(bsn.layout.values())


def test_the_data_sets_of_boxes_as_their_pipelines_read_them() -> None:
    ava, kinetics = find_spec("ava"), find_spec("ava_kinetics")
    assert (boxes_options(ava).items, boxes_options(kinetics).items) == ("videos", "windows")
    assert (boxes_options(kinetics).windows_of, boxes_options(kinetics).merge_with) == ("kinetics700", "ava")
    assert (ava.variants, ava.default_variant) == (["v2.1", "v2.2"], "v2.2")
    assert (ava.layout["videos"], ava.layout["excerpts"], ava.layout["rawframes"]) == (
        "videos",
        "videos_15min",
        "rawframes",
    )
    assert (ava.labels.count, kinetics.labels.count) == (80, 80)
    assert [source.id for source in ava.item_sources] == ["local", "mirror", "cvdf"]
    assert ava.item_sources[-1].split_names == {"train": "trainval", "val": "trainval"}
    assert [source.kind for source in kinetics.item_sources] == ["dataset", "local", "http", "youtube"]
    assert (kinetics.recipe.fps, kinetics.recipe.duration_tolerance, kinetics.recipe.audio) == (30, 0.75, "copy")
    assert ava.expected.variants["v2.1"].rows["train"].counts == [837318]
    assert {
        part: 897 * videos - less for part, videos, less in (("train", 235, 161), ("val", 64, 37), ("test", 131, 66))
    } == {part: one.count for part, one in ava.expected.key_frames.items()}
    assert 64304 in kinetics.expected.rows["test"].counts


def test_whose_proposals_a_run_takes(tmp_path: Path) -> None:
    assert default_params(find_spec("ava_demo"))["proposals"] == "detect"
    assert "proposals" not in default_params(find_spec("ava")), "the parameter's own: the published ones"
    text = (PACKAGED / "ava_kinetics.yaml").read_text().replace("detection:\n", "detection:\n    proposals: fetch\n")
    assert "proposals are published for items: videos alone" in _refused(tmp_path, text)


def test_what_the_examples_mean(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(BOXES)
    spec = load_spec(path)
    assert spec.sources[0].all_urls == ["http://a.example/x", "https://b.example/x"]
    assert spec.expected.variants["v2.1"].rows["train"].counts == [10024]
    path.write_text(CLIPS)
    assert load_spec(path).expected.rows["val"].counts == [1530, 1520]


CASES = {
    "unknown key": (CLIPS, "root: toy51", "rooot: toy51", "key 'rooot': unknown key"),
    "unknown inner key": (CLIPS, "level: 2", "levle: 2", "key 'item.levle': unknown key"),
    "wrong type": (CLIPS, "count: 51", "count: many", "key 'labels.count': Input should be a valid integer"),
    "unknown family": (CLIPS, "family: clips", "family: torrents", "key 'family': there is no family 'torrents'; known: boxes, clips"),
    "newer schema": (CLIPS, "dataset-spec/v1", "dataset-spec/v9", "key 'schema': Input should be 'dataset-spec/v1'"),
    "hostile root": (CLIPS, "root: toy51", "root: ../etc", "key 'root'"),
    "hostile name": (CLIPS, "name: toy_clips", "name: a/b", "key 'name'"),
    "the name of YouTube": (CLIPS, "name: toy_clips", "name: youtube", "key 'name': 'youtube' says whose the ids"),
    "leaves by a split": (CLIPS, "val: annotations/validation.csv", "val: ../x.csv", "key 'splits.val'"),
    "leaves by into": (BOXES, "into: annotations/a.csv", "into: a/../../x", "key 'sources.0.into'"),
    "absolute into": (BOXES, "into: annotations/a.csv", "into: /etc/x", "key 'sources.0.into'"),
    "leaves by an archive": (CLIPS, "{into: annotations,", "{into: '..',", "key 'sources.0.archive.into'"),
    "leaves by the layout": (CLIPS, 'videos: "videos_', 'videos: "../videos_', "must be a path below"),
    "leaves by a list": (CLIPS, 'videos: "toy_{split}', 'videos: "../toy_{split}', "must be a path below"),
    "no url": (CLIPS, 'url: "http://example.org/csvs.tar", ', "", "key 'sources.0': a source of kind 'http' needs url"),
    "no howto": (CLIPS, ', howto: "sign in and put the csv files in annotations/"', "", "needs a howto"),
    "twice the same source": (CLIPS, "id: by_hand", "id: csvs", "source id 'csvs' is used twice"),
    "bad expression": (CLIPS, "'[a-z_]+'", "'[a-z_+'", "key 'item.id_regex': not a regular expression"),
    "shares the wrong way": (CLIPS, "warn: 0.05", "warn: 0.9", "key 'missing': warn must not be above error"),
    "unknown variant": (BOXES, "default_variant: v2.2", "default_variant: x", "not one of variants"),
    "not http": (CLIPS, "kind: http", "kind: telepathy", "key 'sources.0.kind': Input should be"),
    # What was in the model once, and read by nobody.
    "stages": (CLIPS, "lists:", "stages: [{id: only_this, op: 'plugin:nowhere.nothing'}]\nlists:", "key 'stages': unknown key"),
    "checks": (CLIPS, "lists:", "checks: [NOSUCHCHECK]\nlists:", "key 'checks': unknown key"),
    "compat": (CLIPS, "lists:", "compat: {anything: 1}\nlists:", "key 'compat': unknown key"),
    "an alias of no list": (CLIPS, "lists:", "aliases: {a: b}\nlists:", "key 'aliases.a': there is no list 'a'"),
    "an alias that leaves": (CLIPS, "lists:", "aliases: {videos: ../b}\nlists:", "key 'aliases.videos'"),
    "groups": (CLIPS, "count: 51,", "count: 51, groups: {x: 3},", "key 'labels.count': it is 51, and the groups together have 3"),
    "a name of a group": (CLIPS, "count: 51,", "count: 51, groups: {../x: 51},", "key 'labels.groups"),
    "lists of groups without groups": (CLIPS, "lists:", "group_lists: {videos: \"{group}_{split}.json\"}\nlists:", "the labels have no groups"),
    "unique": (CLIPS, "count: 51,", "count: 51, unique: maybe,", "key 'labels.unique': Input should be a valid boolean"),
    "base": (CLIPS, "count: 51,", "count: 51, base: 1,", "key 'labels.base': unknown key"),
    "path of labels": (CLIPS, "count: 51,", "count: 51, path: /etc/passwd.txt,", "key 'labels.path': '/etc/passwd.txt' must be a path below"),
    "no text of labels": (CLIPS, "count: 51,", "count: 51, path: a.pbtxt,", "key 'labels.path': 'a.pbtxt': name a .txt"),
    "a list of splits": (CLIPS, "splits: {train: annotations/train.csv, val: annotations/validation.csv}", "splits: [train, val]", "line 13: key 'splits.0': write 'splits' as a mapping"),
    "a number without a value": (CLIPS, "toy_{split}_videos", "toy_{split}_split_{i}_videos", "key 'lists.videos': 'toy_{split}_split_{i}"),
    "fallback": (CLIPS, "kind: local,", "kind: local, fallback: manual,", "key 'sources.2.fallback': unknown key"),
    "missing of a source": (CLIPS, "kind: local,", "kind: local, missing: {warn: 0},", "key 'sources.2.missing': unknown key"),
    "size": (CLIPS, "kind: local,", "kind: local, size: 5,", "key 'sources.2.size': unknown key"),
    "torrent": (CLIPS, "kind: local,", "kind: torrent,", "key 'sources.2.kind': Input should be"),
    "gdrive": (CLIPS, "kind: local,", "kind: gdrive,", "key 'sources.2.kind': Input should be"),
    "files": (CLIPS, "provides: items,", "provides: files,", "key 'sources.2.provides': Input should be"),
    "nested": (CLIPS, "{into: annotations,", "{into: annotations, nested: ['*.rar'],", "key 'sources.0.archive.nested': only an archive of whole items"),
    "volumes": (CLIPS, "{into: annotations,", "{into: annotations, volumes: 3,", "key 'sources.0.archive.volumes': only an archive of whole items"),
    "rar": (CLIPS, "{into: annotations,", "{into: annotations, format: rar,", "key 'sources.0.archive.format': unknown key"),
    "crawled": (CLIPS, "expected: {", "expected: {crawled: true, ", "key 'expected.crawled': unknown key"),
    "per split": (CLIPS, "count: 3570", "count: 3570, per_split: true", "key 'expected.rows.train.per_split': unknown key"),
    "no options": (CLIPS, "options: {reader: kinetics_csv}\n", "", "key 'options': Field required"),
    "an option of another family": (CLIPS, "{reader: kinetics_csv}", "{reader: kinetics_csv, items: videos}", "key 'options.items': unknown key"),
    "no such reader": (CLIPS, "{reader: kinetics_csv}", "{reader: ../x}", "key 'options.reader': there is no reader '../x'; known: diving48, "),
    "windows of nothing": (BOXES, "{items: videos}", "{items: windows}", "key 'options': items: windows needs windows_of"),
    "no family": (CLIPS, "family: clips\n", "", "key 'family': Field required"),
    "a family that leaves": (CLIPS, "family: clips", "family: ../clips", "key 'family': there is no family '../clips'"),
    "a number of families": (CLIPS, "family: clips", "family: 7", "key 'family': Input should be a valid string"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_wrong_value_is_one_sentence_with_key_and_line(case: str, tmp_path: Path) -> None:
    text, old, new, wanted = CASES[case]
    assert old in text
    changed = text.replace(old, new, 1)
    sentence = _refused(tmp_path, changed)
    assert wanted in sentence
    found = re.search(r", line (\d+): ", sentence)
    assert found, sentence
    if "key '(top)'" not in sentence and new:
        near = _line(changed, new.strip().partition("\n")[0])
        assert abs(int(found[1]) - near) <= 4, "the line is that of the key, or of the nearest above it"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("name: a\ntitle: b\nname: c\n", "line 3: the key 'name' is given twice"),
        ("a:\n  - {b: 1, b: 2}\n", r"line 2: the key 'a[0].b' is given twice"),
        ("name: [1\ntitle: 2\n", "line 2: not valid YAML"),
        ("\tname: a", "line 1: not valid YAML"),
        ("a: 1\n---\nb: 2\n", "not valid YAML"),
        ("? [a]\n: 1\n", "unhashable key"),
        ("a: 2026-99-99\n", "not valid YAML"),
        ("a: !!python/object/apply:os.system [id]\n", "could not determine a constructor"),
        ("", "a data set's YAML is a mapping"),
        ("- a\n- b\n", "a data set's YAML is a mapping"),
        ("just words", "a data set's YAML is a mapping"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "not UTF-8"),
        (b"name: a\x00b", "not valid YAML"),
        ("name: a\n", "key 'schema': Field required"),
        pytest.param("[" * 500_000, "line 1: nested deeper than 50 levels", id="brackets"),
        pytest.param("- " * 300_000, "line 1: nested deeper than 50 levels", id="dashes"),
        ("a: &a [*a]\n", "line 1: write '*a' out"),
    ],
)
def test_a_broken_file_is_one_sentence(text: str | bytes, wanted: str, tmp_path: Path) -> None:
    assert wanted in _refused(tmp_path, text)


def test_an_alias_bomb_is_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    begun = time.process_time()
    assert "line 2: write '*a0' out" in _refused(tmp_path, "\n".join(lines))
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"name: a\ncount: {'1:' * 400_000}1\n", "line 2: a number of more than 100 characters"),
        (f"name: a\ncount: {'1:' * 400_000}1.5\n", "line 2: a number of more than 100 characters"),
        (f"count: !!int '{'1:' * 400_000}1'\n", "line 1: a number of more than 100 characters"),
        (f"count: 0x{'f' * 900_000}\n", "line 1: a number of more than 100 characters"),
        (f"count: {'9' * 900_000}\n", "line 1: a number of more than 100 characters"),
        (f"counts: [{'1:1:1,' * 150_000}1]\n", "line 1: it has more than 20000 values"),
        ("? " + "1:" * 400_000 + "1\n: 1\n", "line 1: a number of more than 100 characters"),
    ],
    ids=["base 60", "a fraction to base 60", "by a tag", "hexadecimal", "decimal", "many", "a key"],
)
def test_numbers_that_would_take_a_minute_are_refused_at_once(text: str, wanted: str, tmp_path: Path) -> None:
    begun = time.process_time()
    assert wanted in _refused(tmp_path, text)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    "text", ["a: !!bool x", "a: !!int ''", "a: !!timestamp x", "a: !!float ''", "a: 0001-01-01 00:00:00 +23:59", "a: 0o_", "a: 0b_"]
)  # fmt: skip
def test_what_a_constructor_of_yaml_does_not_expect_is_one_sentence(text: str, tmp_path: Path) -> None:
    assert _refused(tmp_path, f"{text}\n")


def test_a_long_text_is_no_number(tmp_path: Path) -> None:
    for note in ("a long note " * 20, "f" * 300):
        text = CLIPS.replace("title: Toy of labelled clips", f"title: Toy\ndescription: {note}")
        (tmp_path / "a.yaml").write_text(text)
        assert load_spec(tmp_path / "a.yaml").description == note.strip()


def test_a_huge_file_and_no_file_are_refused(tmp_path: Path) -> None:
    assert f"larger than {MAX_BYTES} bytes" in _refused(tmp_path, b"a" * (MAX_BYTES + 1))
    with pytest.raises(SpecError, match="cannot be read: No such file"):
        load_spec(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="cannot be read"):
        load_spec(tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_make_a_traceback(tmp_path: Path, body: bytes) -> None:
    _refused(tmp_path, body)


def test_a_folder_adds_data_sets(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(CLIPS)
    (tmp_path / "bad.yaml").write_text("name: [")
    (tmp_path / "notes.txt").write_text("not a YAML")
    specs, errors = load_all([tmp_path])
    assert "toy_clips" in specs
    assert "kinetics400" in specs, "a bad file never hides a good one"
    assert [str(error).partition(",")[0] for error in errors] == [str(tmp_path / "bad.yaml")]
    assert find_spec("toy_clips", [tmp_path]).title.startswith("Toy")
    with pytest.raises(SpecError, match=r"bad\.yaml, line"):
        find_spec("bad", [tmp_path])
    with pytest.raises(SpecError, match=r"There is no data set 'nope'\. `clipquarry datasets` lists all \d+\."):
        find_spec("nope", [tmp_path])


def test_a_folder_that_does_not_exist_is_said(tmp_path: Path) -> None:
    specs, errors = load_all([tmp_path / "nowhere", tmp_path])
    assert "kinetics400" in specs
    assert len(errors) == 1
    assert "nowhere, which is no folder" in str(errors[0])


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text((PACKAGED / "kinetics400.yaml").read_text().replace("Kinetics-400", "Mine"))
    specs, errors = load_all([tmp_path])
    assert specs["kinetics400"].title == "Kinetics-400", "the first one stays"
    assert len(errors) == 1
    assert "the name 'kinetics400' is already taken by" in str(errors[0])
    assert str(tmp_path / "mine.yaml") in str(errors[0])


RUNNABLE = """
schema: dataset-spec/v1
name: own
title: Own
family: clips
task: action-recognition
root: own
access: {kind: open}
options: {reader: kinetics_csv}
layout: {annotations: annotations, videos: "videos_{split}"}
labels: {source: annotation}
splits: {train: annotations/train.csv}
sources: [{id: disk, kind: local, provides: items, content: clip, path: /clips}]
lists: {videos: "own_{split}_list_videos.txt"}
"""


_CLIPS = "clips\ntask: action-recognition\nroot: own\naccess: {kind: open}\noptions: {reader: kinetics_csv}"
_VIDEOS = "boxes\nroot: own\naccess: {kind: open}\noptions: {items: videos}"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (', videos: "videos_{split}"', "", "line 10: key 'layout': a run of the family clips needs the folder 'videos'"),
        ("splits: {train: annotations/train.csv}\n", "", "key 'splits': a run needs at least one split"),
        ("provides: items, content: clip", "provides: annotations", "key 'sources': a run needs a source that provides items"),
        ('lists: {videos: "own_{split}_list_videos.txt"}\n', "", "key 'lists': a run of the family clips needs the name of the list"),
        (_CLIPS, _VIDEOS, "key 'layout': a run of the family boxes with items: videos needs the folder 'excerpts'"),
        (_CLIPS, _VIDEOS.replace("videos", "key_frames"), "key 'layout': a run of the family boxes with items: key_frames needs the folder 'rawframes'"),
        (f"{_CLIPS}\nlayout: {{annotations: annotations, videos: \"videos_{{split}}\"}}", f"{_VIDEOS}\nlayout: {{videos: v, excerpts: e, rawframes: f}}\nvariants: [v3]\ndefault_variant: v3", "line 11: key 'default_variant': the versions of AVA are v2.1 and v2.2"),
    ],
    ids=["videos", "splits", "items", "lists", "excerpts", "rawframes", "version"],
)  # fmt: skip
def test_what_a_run_needs_is_asked_for_when_a_yaml_is_loaded(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = (
        RUNNABLE.replace("kinetics_csv\nlayout: {", "ava_csv\nlayout: {excerpts: e, rawframes: r, ")
        if "v3" in new
        else RUNNABLE
    )
    file = tmp_path / "own.yaml"
    file.write_text(text)
    load_spec(file)
    file.write_text(text.replace(old, new))
    with pytest.raises(SpecError) as raised:
        load_spec(file)
    assert words in str(raised.value)
