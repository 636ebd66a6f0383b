"""Data sets' YAML: all families load, a wrong one is one sentence with its key and line."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
import yaml
from clipquarry.datasets.load import PACKAGED, find_spec, load_all, load_spec, spec_files
from clipquarry.datasets.safe_yaml import MAX_BYTES
from clipquarry.errors import Exit, SpecError
from clipquarry.pipeline.params import default_params
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ARCHIVE = r"""
schema: dataset-spec/v1
name: toy_archive
title: Toy of the archive family
family: archive
task: action-recognition
root: toy51
access: {kind: open, page: "https://example.org/toy/"}
layout: {annotations: annotations, videos: videos, rawframes: rawframes}
item: {level: 2, ext: [avi], id_regex: '^[a-z_]+/.+$'}
labels: {source: folders, path: videos, count: 51, order: codepoint, base: 0, unique: true}
splits:
  - {name: "split_{i}", each: {i: [1, 2, 3]}, parts: {train: train, val: test}}
sources:
  - id: splits
    kind: http
    url: "http://example.org/splits.rar"
    archive: {format: rar, into: annotations, strip_top: top_folder}
  - id: videos
    kind: http
    url: "http://example.org/videos.rar"
    archive: {format: rar, into: videos, nested: {glob: "*.rar", format: rar}}
    keep_archives: false
stages:
  - {id: acquire, op: fetch, params: {sources: [splits, videos]}}
  - {id: unpack, op: unpack, needs: [acquire]}
  - {id: splits, op: "plugin:toy.derive", needs: [unpack], outputs: [annotations/classInd.txt, "annotations/l{i:02d}.txt"]}
  - {id: frames, op: extract_frames, needs: [unpack], optional: true, params: {tasks: [rgb, flow], bound: 20, resize: none}}
  - {id: lists, op: build_list, needs: [splits], params: {format: videos, parser: "plugin:toy.parse"}}
  - {id: check, op: validate, needs: [lists]}
lists: {videos: "toy_{part}_split_{i}_videos.txt", rawframes: "toy_{part}_split_{i}_rawframes.txt"}
expected:
  videos: {count: 6766, provenance: memory}
  parts: {train: {count: 3570, per_split: true}, val: {count: 1530, per_split: true}}
checks: [C01, C03]
compat: {shuffle_seed: null}
"""

CRAWL = r"""
schema: dataset-spec/v1
name: toy_gym
title: Toy of the crawl family, cut twice
family: crawl
task: action-recognition
root: gym
access: {kind: crawl, page: "https://example.org/gym/"}
layout: {annotations: annotations, videos: videos, events: events, subactions: subactions, rawframes: subaction_frames}
item: {level: 1, ext: [mp4], id_regex: '^[\w-]{11}_E_\d{6}_\d{6}_A_\d{4}_\d{4}$'}
labels: {source: file, path: "builtin:label_maps/gym99.txt", count: 99, order: given, base: 0, unique: false}
sources:
  - {id: info, kind: http, url: "https://example.org/info.json", into: annotations/annotation.json}
  - {id: videos, kind: youtube, ids: "plugin:gym.video_ids", into: "videos/{id}.mp4", format: mp4, attempts: 5,
     missing: {warn: 0.05, error: 0.6}}
stages:
  - {id: acquire, op: fetch, params: {sources: [info]}}
  - {id: crawl, op: crawl, needs: [acquire], params: {sources: [videos]}, shards: 64, pool: network}
  - {id: events, op: trim, needs: [crawl], shards: 64, pool: cpu, retries: 2, timeout_h: 12,
     params: {segments: "plugin:gym.events", src: "videos/{video}.mp4", codec: {v: libx264, a: copy}, threads: 8},
     outputs: [annotations/event_annotation.json]}
  - {id: lists, op: build_list, needs: [events], params: {format: videos, root: subactions, final_newline: false}}
  - {id: check, op: validate, needs: [lists]}
lists: {videos: "annotations/gym99_{part}.txt", rawframes: "annotations/gym99_{part}_frame.txt"}
aliases: {"annotations/gym99_{part}_list_rawframes.txt": "annotations/gym99_{part}_frame.txt"}
expected: {parts: {train: {count: 20484}, val: {count: 8521}}, crawled: true}
checks: [C01, C04]
compat: {frame_count_rule: rgb}
"""

HAND_PARTS = r"""
schema: dataset-spec/v1
name: toy_jester
title: Toy of the hand-parts family
family: hand-parts
task: action-recognition
root: jester
access: {kind: registration, page: "https://example.org/jester", licence: research-only}
layout: {annotations: annotations, rawframes: rawframes, videos: videos}
item: {level: 1, ext: [mp4], id_regex: '^\d+$', rgb_pattern: '{:05d}.jpg', rgb_prefix: '0', start_index: 1}
labels: {source: file, path: annotations/labels.csv, count: 27, order: given, base: 0, unique: true}
sources:
  - {id: anno, kind: manual, files: ["annotations/labels.csv"], howto: "sign in and put the csv files in annotations/"}
  - id: parts
    kind: manual
    files: ["20bn-jester-v1-??", "20bn-jester-v1-??.zip"]
    howto: "sign in, download every part into the data set's root"
    parts: {pattern: "20bn-jester-v1-(\\d\\d)(?:\\.zip)?", count: 23, unwrap_zip: true}
    archive: {format: tar.gz, into: rawframes, strip_top: 20bn-jester-v1}
    keep_archives: true
stages:
  - {id: wait, op: wait_for_files, params: {sources: [anno, parts]}, timeout_h: 720, poke_min: 30}
  - {id: merge, op: merge_parts, needs: [wait], params: {sources: [parts]}}
  - {id: encode, op: encode_video, needs: [merge], optional: true, shards: 256, params: {fps: 12, codec: mpeg4}}
  - {id: lists, op: build_list, needs: [merge], params: {format: rawframes, parser: "builtin:semicolon_csv"}}
splits:
  - {name: list, parts: {train: annotations/train.csv, val: annotations/validation.csv, test: annotations/test.csv}}
lists: {videos: "jester_{part}_list_videos.txt", rawframes: "jester_{part}_list_rawframes.txt"}
expected: {parts: {train: {count: 118562}, val: {count: 14787}, test: {count: 14743}}}
checks: [C01, C02]
"""

VARIANTS = r"""
schema: dataset-spec/v1
name: toy_activitynet
title: Toy with variants
family: crawl
task: temporal-localization
root: ActivityNet
access: {kind: mixed, page: "http://example.org/download.html"}
variants: [features, videos, videos_bsn]
default_variant: features
layout: {videos: videos, rawframes: rawframes, features: activitynet_feature_cuhk, out_feat: mmaction_feat}
item: {level: 1, ext: [mp4], id_regex: '^v_[\w-]{11}$', start_index: 0}
labels: {source: file, path: "builtin:label_maps/activitynet.txt", count: 200, order: given, base: 0, unique: true}
sources:
  - {id: bsn_json, kind: http, variants: [features, videos_bsn], into: anet.json, url: "https://example.org/anet.json"}
  - {id: cuhk, kind: gdrive, variants: [features], file_id: 1ISemnd, archive: {format: zip, into: feature}, fallback: manual}
  - {id: official, kind: http, variants: [videos], into: anet.min.json, urls: ["http://a.example/x", "https://b.example/x"]}
  - {id: videos, kind: youtube, variants: [videos, videos_bsn], ids: "plugin:activitynet.video_ids",
     into: "videos/v_{id}.mp4", format: mp4, attempts: 5, missing: {warn: 0.05, error: 0.6}, fallback: manual}
stages:
  - {id: acquire, op: fetch, params: {sources: [bsn_json, cuhk, official]}}
  - {id: annos, op: "plugin:activitynet.process", variants: [features], needs: [acquire], outputs: [anet_anno_train.json]}
  - {id: crawl, op: crawl, variants: [videos, videos_bsn], needs: [acquire], params: {sources: [videos]}, shards: 128}
  - {id: features, op: external, variants: [videos], needs: [crawl], optional: true, pool: gpu,
     params: {inputs: [a.txt], produces: ["rgb_feat/*.pkl"], contract: "float32 [T,200]"}}
  - {id: pool, op: "plugin:activitynet.pool", variants: [videos], needs: [features], params: {num: 100, eps: 1.0e-4}}
  - {id: check, op: validate, needs: [annos, pool]}
lists: {rawframes: "anet_{part}_video.txt", rawframes_offset: "anet_{part}_clip.txt"}
expected: {variants: {videos: {parts: {train: {count: 10024}, val: {count: 4926}}}}, crawled: true}
checks: [C01, C04]
compat: {frame_count_rule: rgb}
"""

EXAMPLES = {"archive": ARCHIVE, "crawl": CRAWL, "hand-parts": HAND_PARTS, "variants": VARIANTS}


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
    assert spec.is_runnable
    assert set(spec.expected.parts) <= set(spec.parts)
    assert spec.annotation_sources
    assert spec.item_sources
    for part in spec.parts:
        names = [spec.folder("videos", part), *(spec.list_name(format_, part) for format_ in spec.lists)]
        assert "{" not in "".join(names)
    clips_have_classes = spec.annotation_format == "kinetics_csv"
    assert bool(spec.lists) is clips_have_classes, "list files are of labelled clips"
    for source in spec.item_sources:
        assert source.kind != "dataset" or find_spec(source.dataset or "").is_runnable
    for asset in spec.made_of:
        assert find_spec(asset.partition("/")[0]).is_runnable


def test_all_of_them_together() -> None:
    specs, errors = load_all()
    assert errors == []
    assert {"kinetics400", "kinetics600", "kinetics700", "kinetics_demo", "ava", "ava_kinetics"} <= set(specs)
    assert len({spec.root for spec in specs.values()}) == len(specs), "two data sets must not share a folder"


def test_the_data_sets_of_boxes_as_their_pipelines_read_them() -> None:
    ava, kinetics = find_spec("ava"), find_spec("ava_kinetics")
    assert (ava.annotation_format, kinetics.annotation_format) == ("ava_csv", "ava_kinetics_csv")
    assert (ava.variants, ava.default_variant) == (["v2.1", "v2.2"], "v2.2")
    assert (ava.layout["videos"], ava.layout["excerpts"], ava.layout["rawframes"]) == (
        "videos",
        "videos_15min",
        "rawframes",
    )
    assert (ava.labels.count, ava.labels.base, kinetics.labels.count) == (80, 1, 80)
    assert [source.id for source in ava.item_sources] == ["local", "mirror", "cvdf"]
    assert ava.item_sources[-1].split_names == {"train": "trainval", "val": "trainval"}
    assert [source.kind for source in kinetics.item_sources] == ["dataset", "local", "http", "youtube"]
    assert (kinetics.recipe.fps, kinetics.recipe.duration_tolerance, kinetics.recipe.audio) == (30, 0.75, "copy")
    assert ava.expected.variants["v2.1"].parts["train"].counts == [837318]
    assert {
        part: 897 * videos - less for part, videos, less in (("train", 235, 161), ("val", 64, 37), ("test", 131, 66))
    } == {part: one.count for part, one in ava.expected.key_frames.items()}
    assert 64304 in kinetics.expected.parts["test"].counts


def test_whose_proposals_a_run_takes(tmp_path: Path) -> None:
    assert default_params(find_spec("ava_demo"))["proposals"] == "detect"
    assert "proposals" not in default_params(find_spec("ava")), "the parameter's own: the published ones"
    text = (PACKAGED / "ava_kinetics.yaml").read_text().replace("detection:\n", "detection:\n  proposals: fetch\n")
    assert "published by nobody" in _refused(tmp_path, text)


@pytest.mark.parametrize("family", sorted(EXAMPLES))
def test_other_families_are_described(family: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(EXAMPLES[family])
    spec = load_spec(path)
    given = yaml.safe_load(EXAMPLES[family])
    assert spec.family == given["family"]
    assert not spec.is_runnable
    assert [source.id for source in spec.sources] == [source["id"] for source in given["sources"]]
    for stage, wanted in zip(spec.stages, given["stages"], strict=True):
        assert stage.model_dump(exclude_unset=True) == wanted
    for key in ("access", "item", "labels", "expected", "compat", "aliases", "variants", "checks"):
        if key in given:
            value = getattr(spec, key)
            assert (value.model_dump(exclude_unset=True) if hasattr(value, "model_dump") else value) == given[key]


def test_what_the_examples_mean(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(VARIANTS)
    spec = load_spec(path)
    assert spec.sources[2].all_urls == ["http://a.example/x", "https://b.example/x"]
    assert spec.expected.variants["videos"].parts["train"].counts == [10024]
    path.write_text(ARCHIVE)
    assert load_spec(path).splits[0].each == {"i": [1, 2, 3]}
    assert load_spec(path).expected.parts["val"].per_split


CASES = {
    "unknown key": (ARCHIVE, "root: toy51", "rooot: toy51", "key 'rooot': unknown key"),
    "unknown inner key": (CRAWL, "shards: 64, pool: network", "shard: 64", "key 'stages.1.shard': unknown key"),
    "wrong type": (HAND_PARTS, "count: 23", "count: many", "key 'sources.1.parts.count': Input should be a valid integer"),
    "unknown family": (ARCHIVE, "family: archive", "family: torrents", "key 'family': Input should be"),
    "newer schema": (ARCHIVE, "dataset-spec/v1", "dataset-spec/v9", "key 'schema': Input should be 'dataset-spec/v1'"),
    "hostile root": (ARCHIVE, "root: toy51", "root: ../etc", "key 'root'"),
    "hostile name": (ARCHIVE, "name: toy_archive", "name: a/b", "key 'name'"),
    "leaves by a part": (HAND_PARTS, "val: annotations/validation.csv", "val: ../x.csv", "key 'splits.0.parts'"),
    "leaves by into": (CRAWL, "into: annotations/annotation.json", "into: a/../../x", "key 'sources.0.into'"),
    "absolute into": (CRAWL, "into: annotations/annotation.json", "into: /etc/x", "key 'sources.0.into'"),
    "leaves by an archive": (HAND_PARTS, "into: rawframes,", "into: '..',", "key 'sources.1.archive.into'"),
    "leaves by the layout": (ARCHIVE, "videos: videos,", "videos: ../videos,", "must be a path below"),
    "leaves by a list": (ARCHIVE, 'videos: "toy_{part}', 'videos: "../toy_{part}', "must be a path below"),
    "no url": (CRAWL, 'url: "https://example.org/info.json", ', "", "key 'sources.0': a source of kind 'http' needs url"),
    "no howto": (HAND_PARTS, ', howto: "sign in and put the csv files in annotations/"', "", "needs a howto"),
    "unknown operator": (CRAWL, "op: trim", "op: explode", "key 'stages.2.op': 'explode' is neither a built-in"),
    "unknown stage": (CRAWL, "needs: [crawl]", "needs: [crawll]", "needs 'crawll', which is not a stage"),
    "twice the same source": (ARCHIVE, "id: videos\n", "id: splits\n", "source id 'splits' is used twice"),
    "bad expression": (CRAWL, "'^[\\w-]", "'^[\\w-", "key 'item.id_regex': not a regular expression"),
    "shares the wrong way": (CRAWL, "warn: 0.05", "warn: 0.9", "key 'sources.1.missing': warn must not be above error"),
    "too many shards": (CRAWL, "shards: 64, pool: network", "shards: 5000", "key 'stages.1.shards'"),
    "unknown variant": (VARIANTS, "default_variant: features", "default_variant: x", "not one of variants"),
    "not http": (CRAWL, "kind: http", "kind: telepathy", "key 'sources.0.kind': Input should be"),
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
        text = ARCHIVE.replace("title: Toy of the archive family", f"title: Toy\ndescription: {note}")
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
    (tmp_path / "mine.yaml").write_text(ARCHIVE)
    (tmp_path / "bad.yaml").write_text("name: [")
    (tmp_path / "notes.txt").write_text("not a YAML")
    specs, errors = load_all([tmp_path])
    assert "toy_archive" in specs
    assert "kinetics400" in specs, "a bad file never hides a good one"
    assert [str(error).partition(",")[0] for error in errors] == [str(tmp_path / "bad.yaml")]
    assert find_spec("toy_archive", [tmp_path]).title.startswith("Toy")
    with pytest.raises(SpecError, match=r"bad\.yaml, line"):
        find_spec("bad", [tmp_path])
    with pytest.raises(SpecError, match=r"There is no data set 'nope'\. Known: .*kinetics400.*toy_archive"):
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
family: crawl
task: action-recognition
root: own
access: {kind: open}
annotation_format: kinetics_csv
layout: {annotations: annotations, videos: "videos_{part}"}
labels: {source: annotation}
splits: [{parts: {train: annotations/train.csv}}]
sources: [{id: disk, kind: local, provides: items, content: clip, path: /clips}]
lists: {videos: "own_{part}_list_videos.txt"}
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (', videos: "videos_{part}"', "", "line 10: key 'layout': a run of kinetics_csv needs the folder 'videos'"),
        ("splits: [{parts: {train: annotations/train.csv}}]\n", "", "key 'splits': a run needs at least one split"),
        ("provides: items, content: clip", "provides: annotations", "key 'sources': a run needs a source that provides items"),
        ("kind: local, provides: items, content: clip, path: /clips", "kind: torrent, provides: items",
         "line 13: key 'sources.0.kind': items cannot be had from a source of kind 'torrent'"),
        ('lists: {videos: "own_{part}_list_videos.txt"}\n', "", "key 'lists': a run of kinetics_csv needs the name of the list"),
        ("kinetics_csv", "ava_csv", "key 'layout': a run of ava_csv needs the folder 'excerpts'"),
        ("kinetics_csv", "ava_kinetics_csv", "key 'layout': a run of ava_kinetics_csv needs the folder 'rawframes'"),
        ("layout: {annotations: annotations,", "variants: [v3]\ndefault_variant: v3\nannotation_format: ava_csv\n"
         "layout: {excerpts: e, rawframes: r,", "line 10: key 'default_variant': the versions of AVA are v2.1 and v2.2"),
    ],
    ids=["videos", "splits", "items", "kind", "lists", "excerpts", "rawframes", "version"],
)  # fmt: skip
def test_what_a_run_needs_is_asked_for_when_a_yaml_is_loaded(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = RUNNABLE.replace("annotation_format: kinetics_csv\n", "") if "default_variant" in new else RUNNABLE
    file = tmp_path / "own.yaml"
    file.write_text(text)
    load_spec(file)
    file.write_text(text.replace(old, new))
    with pytest.raises(SpecError) as raised:
        load_spec(file)
    assert words in str(raised.value)


def test_a_crawl_without_an_annotation_format_is_described_only(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(RUNNABLE.replace("annotation_format: kinetics_csv\n", ""))
    assert not load_spec(file).is_runnable
    with pytest.raises(
        SpecError, match="line 5: key 'family': a run of family 'crawl' needs annotation_format, one of kinetics_csv"
    ):
        load_spec(file, to_run=True)
