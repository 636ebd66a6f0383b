"""What was called valid once, and no run could use: each is one sentence with its key and line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clipquarry.acquire.template import NAMES
from clipquarry.datasets.checks import ITEM_HOLES
from clipquarry.datasets.load import PACKAGED, load_all, load_spec
from clipquarry.errors import SpecError

GOOD = """\
schema: dataset-spec/v1
name: mine
title: My actions
family: clips
task: action-recognition
root: mine
tags: [kinetics]
access: {kind: open, page: "https://example.org/"}
options: {reader: kinetics_csv}
layout:
  annotations: annotations
  videos: "videos_{split}"
  resized: "videos_{split}_small"
  rawframes: "rawframes_{split}"
labels: {source: annotation, count: 5}
splits: {train: annotations/train.csv, val: annotations/val.csv}
sources:
  - {id: csv, kind: http, provides: annotations, url: "${BASE}/{split}.csv"}
  - {id: mirror, kind: http, provides: items, content: clip, url: "https://example.org/{split}/{clip}.mp4", timeout_s: 30}
  - {id: parts, kind: http, provides: items, content: clip, archive: {into: videos}, volume_lists: {train: "https://example.org/a.txt"}}
  - {id: disk, kind: local, provides: items, content: clip, path: "${CLIPS}/{class}/{clip}.mp4"}
  - {id: youtube, kind: youtube, provides: items, content: video}
lists:
  videos: "mine_{split}_videos.txt"
refresh: {schedule: "17 4 * * 1"}
"""

BROKEN = [
    # templates
    ('"videos_{split}"', '"videos_{foo}"', "layout.videos", "{foo}"),
    ('"videos_{split}"', '"videos_{part"', "layout.videos", "not well formed"),
    ('"videos_{split}"', '"videos_{part.__class__}"', "layout.videos", "known here"),
    ('"videos_{split}"', '"videos_{part!r}"', "layout.videos", "known here"),
    ('"videos_{split}"', '"videos_{part:>9999999}"', "layout.videos", "known here"),
    ('"videos_{split}"', '"videos_{}"', "layout.videos", "known here"),
    ('"mine_{split}_videos.txt"', '"mine_{clip}.txt"', "lists.videos", "{clip}"),
    ("{split}/{clip}.mp4", "{split}/{klip}.mp4", "sources.1.url", "{klip}"),
    ("{split}/{clip}.mp4", "{split}/all.mp4", "sources.1.url", "the same file"),
    ("{class}/{clip}.mp4", "{class}/{clip", "sources.3.path", "not well formed"),
    ("${BASE}/{split}.csv", "${BASE}/{clip}.csv", "sources.0.url", "{clip}"),
    ("annotations/train.csv", '"annotations/{split}.csv"', "splits.train", "placeholders"),
    # paths
    ('"videos_{split}"', ".clipquarry/store", "layout.videos", "Clipquarry's own"),
    ('"videos_{split}"', '"a/.Clipquarry/{split}"', "layout.videos", "Clipquarry's own"),
    ('"mine_{split}_videos.txt"', '".clipquarry/{split}.txt"', "lists.videos", "Clipquarry's own"),
    ("annotations/train.csv", ".clipquarry/ledger.sqlite", "splits.train", "Clipquarry's own"),
    ("into: videos", "into: .clipquarry/x", "sources.2.archive.into", "Clipquarry's own"),
    ('"videos_{split}"', "./videos", "layout.videos", "no '.'"),
    ('"videos_{split}"', "videos//x", "layout.videos", "empty names"),
    ('"videos_{split}"', '"videos\\tx"', "layout.videos", "control characters"),
    ('"videos_{split}"', "x" * 300, "layout.videos", "200 bytes"),
    ('"videos_{split}_small"', '"videos_{split}"', "layout.resized", "same folder"),
    ("${CLIPS}/{class}/{clip}.mp4", "../elsewhere/{clip}.mp4", "sources.3.path", "below the data root"),
    ("${CLIPS}/{class}/{clip}.mp4", ".clipquarry/store", "sources.3.path", "Clipquarry's own"),
    # splits without samples
    ("lists:\n", "parents: {test: events}\nlists:\n", "parents.test", "no split 'test'"),
    ("lists:\n", 'parents: {val: "videos_{split}"}\nlists:\n', "parents.val", "known here: none"),
    ("lists:\n", "parents: {val: annotations}\nlists:\n", "parents.val", "the same folder as 'annotations'"),
    ("lists:\n", "parents: {val: .clipquarry/x}\nlists:\n", "parents.val", "Clipquarry's own"),
    ("lists:\n", "parents: {train: a, val: b}\nlists:\n", "parents", "no split is left that holds samples"),
    # addresses
    ("https://example.org/{split}/{clip}.mp4", "file:///etc/{clip}", "sources.1.url", "no address of the web"),
    ("https://example.org/{split}/{clip}.mp4", "ftp://example.org/{clip}", "sources.1.url", "no address of the web"),
    ("https://example.org/{split}/{clip}.mp4", "https:///{clip}", "sources.1.url", "no address of the web"),
    ("https://example.org/{split}/{clip}.mp4", "http://[::1/{clip}", "sources.1.url", "no address of the web"),
    ("https://example.org/{split}/{clip}.mp4", "http://h:99999/{clip}", "sources.1.url", "no address of the web"),
    ("https://example.org/{split}/{clip}.mp4", "http://a b/{clip}", "sources.1.url", "no address of the web"),
    ("https://example.org/a.txt", "file:///etc/passwd", "sources.2.volume_lists.train", "no address of the web"),
    ("${CLIPS}/{class}/{clip}.mp4", "http://example.org/{clip}", "sources.3.path", "no path of this machine"),
    ("https://example.org/\"}", "javascript:alert(1)\"}", "access.page", "no address of the web"),
    ("volume_lists: {train:", "volume_lists: {trian:", "sources.2.volume_lists.trian", "no split"),
    # numbers, and what Airflow takes
    ("timeout_s: 30", "timeout_s: .inf", "sources.1.timeout_s", "finite"),
    ("timeout_s: 30", "timeout_s: .nan", "sources.1.timeout_s", "finite"),
    ("timeout_s: 30", "timeout_s: 1.0e300", "sources.1.timeout_s", "less than or equal"),
    ("tags: [kinetics]", f"tags: [{'x' * 300}]", "tags.0", "100"),
    ("tags: [kinetics]", 'tags: [""]', "tags.0", "at least 1"),
    ("root: mine", "root: mine\nowner: \"a\\nb\"", "owner", "pattern"),
    ("17 4 * * 1", "banana", "refresh.schedule", "cron"),
    ("17 4 * * 1", "99 4 * * 1", "refresh.schedule", "cron"),
    ("17 4 * * 1", "@now", "refresh.schedule", "cron"),
    ("train: annotations", f"{'t' * 50}: annotations", f"splits.{'t' * 50}", "40 at most"),
    # what a run needs, and what none reads
    ('  videos: "videos_{split}"\n', "", "layout", "needs the folder 'videos'"),
    ("splits: {train: annotations/train.csv, val: annotations/val.csv}\n", "", "splits", "at least one split"),
    ('  rawframes: "rawframes_{split}"\n', "", "lists.rawframes", "no folder 'rawframes'"),
    ("lists:\n", "lists:\n  flow: x.txt\n", "lists.flow", "lists of videos, of rawframes and of audio_features"),
    ("labels:", "item: {rgb_pattern: img.jpg}\nlabels:", "item.rgb_pattern", "by its number"),
    ("labels:", 'item: {rgb_pattern: "{:05d}/{}.jpg"}\nlabels:', "item.rgb_pattern", "by its number"),
    # samples and their files
    ("labels:", "item: {medium: frames}\nlabels:", "lists", "needs the name of the list 'rawframes'"),
    ("labels:", "item: {medium: flow, ext: [jpg]}\nlabels:", "item.medium", "'flow' cannot be prepared yet"),
    ("labels:", "item: {medium: audio, ext: [wav]}\nlabels:", "item.medium", "'audio' cannot be prepared yet"),
    ("labels:", "item: {medium: array, ext: [npy]}\nlabels:", "item.medium", "'array' cannot be prepared yet"),
    ("labels:", "item: {medium: film}\nlabels:", "item.medium", "'video', 'frames'"),
    ("labels:", "item: {ext: [jpg, mp4]}\nlabels:", "item.ext.0", "no suffix of a video"),
    ("labels:", "item: {ext: [mp4, .avi]}\nlabels:", "item.ext.1", "without its dot"),
    ("labels:", 'item: {ext: [mp4, ""]}\nlabels:', "item.ext.1", "no suffix of a video"),
    ("labels:", "item: {ext: [mp4, avi, AVI]}\nlabels:", "item.ext.2", "given twice"),
    ("labels:", "item: {ext: []}\nlabels:", "item.ext", "at least one suffix"),
    ("labels:", "item: {ext: [avi]}\nlabels:", "item.ext", "put mp4 into it"),
    ("labels:", "item: {ext: [webm, avi]}\nlabels:", "item.ext", "put mp4 into it"),
    ("labels:", "item: {level: 3}\nlabels:", "item.level", "1 or 2"),
    ("annotations/train.csv", "annotations/train.json", "splits.train", "reads csv files, not JSON"),
    ("annotations/val.csv", "annotations/val.JSONL", "splits.val", "reads csv files, not JSON"),
    ("timeout_s: 30", "sha256: abc", "sources.1.sha256", "64 hexadecimal"),
]  # fmt: skip


def test_the_good_one_is_good(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    load_spec(path)
    path.write_text(GOOD.replace("17 4 * * 1", "@daily"))
    assert load_spec(path).refresh.schedule == "@daily"


@pytest.mark.parametrize("ext", ["mp4, avi, webm", "AVI, mp4", "m2ts, mkv, mp4"])
def test_videos_may_have_any_suffix(tmp_path: Path, ext: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace("labels:", f"item: {{level: 2, medium: video, ext: [{ext}]}}\nlabels:"))
    assert load_spec(path).item.ext == ext.split(", ")


def test_films_have_a_suffix_that_excerpts_can_have(tmp_path: Path) -> None:
    path = tmp_path / "ava_mine.yaml"
    text = (PACKAGED / "ava.yaml").read_text()
    path.write_text(text.replace("ext: [mp4, mkv, webm]", "ext: [mp4, avi]"))
    with pytest.raises(SpecError, match=r"line \d+: key 'item\.ext\.1': an excerpt has its video's suffix"):
        load_spec(path)


@pytest.mark.parametrize(("old", "new", "key", "says"), BROKEN, ids=[f"{b[2]}-{b[1][:30]!r}" for b in BROKEN])
def test_a_spec_that_no_run_could_use(old: str, new: str, key: str, says: str, tmp_path: Path) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if key == "lists.rawframes":
        text = text.replace("lists:\n", "lists:\n  rawframes: frames_{split}.txt\n")
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    sentence = str(caught.value)
    assert f"key '{key}'" in sentence and says in sentence, sentence
    line = int(re.search(r"line (\d+)", sentence)[1])  # type: ignore[index]
    if key.partition(".")[0] not in ("splits", "lists", "layout", "owner"):
        assert new.strip().splitlines()[0][:20].split(":")[0] in text.splitlines()[line - 1], sentence


@pytest.mark.parametrize(
    "name",
    ["tags_weird", "layout_fmt_unknown", "dead_keys", "three_splits", "no_videos_layout", "no_annotation_format"],
)
def test_cases_that_were_called_valid(name: str) -> None:
    cases = Path(__file__).parents[3] / "shared/cases"
    path = next((p for p in (cases / "hostile" / f"{name}.yaml", cases / "yaml" / f"{name}.yaml") if p.exists()), None)
    if path is None:
        pytest.skip("../shared/cases is not there")
    with pytest.raises(SpecError, match=r"line \d+: key '"):
        load_spec(path)


def test_the_packaged_ones_hold_all_of_it() -> None:
    assert load_all()[1] == []
    assert len(load_all()[0]) == len(list(PACKAGED.glob("*.yaml")))


def test_the_names_in_addresses_are_those_that_sources_fill() -> None:
    assert set(ITEM_HOLES) == set(NAMES)


def test_whatever_one_file_makes_a_library_raise_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clipquarry.datasets import load

    read = load.load_spec

    def odd(path: Path) -> object:
        if path.name == "odd.yaml":
            raise OverflowError("too large")
        return read(path)

    monkeypatch.setattr(load, "load_spec", odd)
    (tmp_path / "odd.yaml").write_text(GOOD)
    (tmp_path / "mine.yaml").write_text(GOOD)
    specs, errors = load_all([tmp_path])
    assert "mine" in specs
    assert [str(error) for error in errors] == [
        f"{tmp_path}/odd.yaml: cannot be read as a data set's YAML: OverflowError: too large."
    ]


FILES = """\
schema: dataset-spec/v1
name: mine
title: My actions
family: clips
root: mine
access: {kind: open}
options: {reader: ucf101}
layout: {annotations: annotations, videos: "videos/{split}"}
item: {level: 2, ext: [avi]}
labels: {source: annotation, order: given}
splits: {train: annotations/train.txt, val: annotations/val.txt}
sources:
  - {id: one, kind: http, provides: items, content: file, url: "https://example.org/1/a.zip", archive: {into: videos/train}}
  - {id: two, kind: http, provides: items, content: file, urls: ["https://example.org/b.z01", "https://example.org/b.z02"], archive: {into: videos/val}}
  - {id: mirror, kind: http, provides: items, content: file, url: "https://example.com/{clip}.avi"}
  - {id: own, kind: manual, provides: items, content: file, howto: get it, files: ["c.z*"], archive: {into: videos}}
lists: {videos: "{split}.txt"}
"""
SUM = "a" * 64


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("1/a.zip", "{split}/a.zip", "sources.0.url", "an archive has one address"),
        ("b.z02", "other/b.z01", "sources.1.urls", "two volumes are called 'b.z01'"),
        ('["https://example.org/b.z01", "https://example.org/b.z02"]', '["https://example.org/2/a.zip"]', "sources.1.urls",
         "of source 'one' is called 'a.zip' too"),
        ('.avi"}', f'.avi", sha256: {SUM}}}', "sources.2.sha256", "only an archive has one"),
        ("files: [", f"sha256: {{d.z01: {SUM}}}, files: [", "sources.3.sha256.d.z01", "known are c.z*"),
        ('1/a.zip",', f'1/a.zip", sha256: {{b.zip: {SUM}}},', "sources.0.sha256.b.zip", "known are a.zip"),
        ("c.z*", "../c.z*", "sources.3.files", "whose name is written out"),
        ('1/a.zip",', '1/a.zip", files: [x],', "sources.0.files", "leave it out"),
        ('1/a.zip",', '1/a.zip", archive_min_share: 0.5,', "sources.0.archive_min_share", "leave it out"),
        ("{reader: ucf101}", "{reader: ucf101, val_share: 0.1}", "options", "val_share is for own_files"),
    ],
)  # fmt: skip
def test_keys_of_whole_files_that_nothing_would_read(old: str, new: str, key: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(FILES)
    assert load_spec(path).has_files
    assert old in FILES
    path.write_text(FILES.replace(old, new))
    with pytest.raises(SpecError, match=rf"key '{re.escape(key)}'.*{re.escape(says)}"):
        load_spec(path)
