"""Results of BMN as a list for SSN, byte for byte the reference's."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from clipquarry.annotations.activitynet import read_object
from clipquarry.annotations.ssn_proposals import Converted, read_class_order, read_results, write_ssn_list
from clipquarry.cli import main
from clipquarry.errors import UserError

CASE = Path(__file__).parents[2].parent / "shared" / "oracles" / "activitynet_convert_proposal_format"
CLASSES = {"a": 0, "b": 1, "c": 2}


def video(*truths: tuple[float, float, str], **more: Any) -> dict[str, Any]:
    rows = [{"segment": [start, end], "label": label} for start, end, label in truths]
    return {"duration_frame": 300, "fps": 30.0, "annotations": rows, **more}


def converted(tmp_path: Path, annotation: Any, results: Any) -> tuple[str, Converted]:
    for name, value in (("anno", annotation), ("results", results)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    text = io.StringIO()
    where = tmp_path / "anno.json"
    done = write_ssn_list(
        text, read_object(where, "annotation"), read_results(tmp_path / "results.json"), CLASSES, where
    )
    return text.getvalue(), done


@pytest.mark.shared
def test_the_list_has_the_references_bytes() -> None:
    root, text = CASE / "inputs/data/ActivityNet", io.StringIO()
    where = root / "anet_anno_val.json"
    results, classes = (
        read_results(CASE / "inputs/results.json"),
        read_class_order(root / "anet_activity_indexes_val.txt"),
    )
    done = write_ssn_list(text, read_object(where, "annotation"), results, classes, where)
    assert text.getvalue() == (CASE / "expected/default/anet_val_formatted_proposal.txt").read_text()
    assert done == Converted(2, 5, [])


def test_a_video_without_a_result_has_no_block_and_is_told(tmp_path: Path) -> None:
    annotation = {"v_x": video((0, 1, "a")), "v_y": video((0, 1, "b"))}
    text, done = converted(tmp_path, annotation, {"results": {"y": [{"segment": [0, 2], "score": 1}], "z": []}})
    assert text == "#0\ny\n300\n30.0\n1\n1 0.0 1.0\n1\n1 0.5 0.5 0.0 2.0\n"
    assert done == Converted(1, 1, ["x"])


@pytest.mark.parametrize(
    ("truths", "segment", "line"),
    [
        ([], [1, 2], "0 0 0 1.0 2.0"),
        ([(0, 1, "b")], [1, 2], "0 0 0 1.0 2.0"),
        ([(0, 1, "b")], [0.5, 0.5], "0 0 0 0.5 0.5"),
        ([(0, 10, "c"), (4, 5, "b")], [4, 5.5], "1 0.6666666865348816 1.0 4.0 5.5"),  # IoU decides, the overlap is the other's
        ([(0, 10, "c"), (4, 5, "a")], [4, 5.5], "2 0.6666666865348816 1.0 4.0 5.5"),  # class 0 counts as none
        ([(0, 1, "b")], [0, 3], "1 0.3333333432674408 0.3333333432674408 0.0 3.0"),
    ],
)  # fmt: skip
def test_the_line_of_a_proposal(tmp_path: Path, truths: list[Any], segment: list[float], line: str) -> None:
    text, _ = converted(tmp_path, {"v_x": video(*truths)}, {"results": {"x": [{"segment": segment}]}})
    assert text.splitlines()[-1] == line


@pytest.mark.parametrize(
    ("annotation", "results", "says"),
    [
        ({"v_x": video((0, 1, "d"))}, {"results": {"x": []}}, "class 'd' is not in the file of classes"),
        *(
            ({"v_x": video((0, 1, label))}, {"results": {"x": []}}, "is not in the file of classes")
            for label in (["A"], {"a": 1}, None, "", 7)
        ),
        ({"v_x": {"annotations": []}}, {"results": {"x": []}}, "no duration_frame and fps"),
        ({"v_x": video(fps="30")}, {"results": {"x": []}}, "its fps is no number"),
        ({"v_a/../b": video()}, {"results": {}}, "holds a slash"),
        ({"v_x": video()}, {"version": 1}, "no object 'results'"),
        ({"v_x": video()}, {"results": {"x": {}}}, "results of x are no array"),
        ({"v_x": video()}, {"results": {"x": [{"segment": [1]}]}}, "entry 0: its segment is not two numbers"),
        ({"v_x": video()}, {"results": {"x": [{"segment": [1, 1e999]}]}}, "Infinity is no number"),
        ({"v_x": video()}, {"results": {"x": [{"segment": [1, "2"]}]}}, "entry 0: its segment is not two numbers"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(tmp_path: Path, annotation: Any, results: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        converted(tmp_path, annotation, results)


@pytest.mark.parametrize(("text", "says"), [("", "names no class"), ("a\nb\na\n", "'a' is given twice")])
def test_a_wrong_file_of_classes_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "order.txt").write_text(text)
    with pytest.raises(UserError, match=says):
        read_class_order(tmp_path / "order.txt")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    texts = {
        "results.json": json.dumps({"results": {"y": [{"segment": [0, 2]}]}}),
        "anno.json": json.dumps({"v_x": video((0, 1, "a")), "v_y": video((0, 1, "b"))}),
        "order.txt": "a\nb\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {name: tmp_path / name for name in (*texts, "list.txt")}


def run(files: dict[str, Path]) -> Any:
    results, annotation, classes, out = map(str, files.values())
    return CliRunner().invoke(
        main, ["ssn-proposals", results, "--annotation", annotation, "--classes", classes, "--out", out]
    )


def test_the_command_writes_the_list_and_names_what_is_left_out(files: dict[str, Path]) -> None:
    done = run(files)
    assert done.exit_code == 0 and "1 videos, 1 proposals" in done.output and "1 videos without a result" in done.output
    assert files["list.txt"].read_text().startswith("#0\ny\n300\n30.0\n1\n1 0.0 1.0\n1\n1 0.5 0.5 0.0 2.0\n")
    assert files["list.txt"].with_name("list.txt.missing.csv").read_text() == "video,reason\nx,no_result\n"
    assert len(list(files["list.txt"].parent.iterdir())) == 5, "nothing half-made lies there"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("list.txt", "mine", "is there already"),
        ("results.json", '{"results": {"z": []}}', "of no video of"),
        ("anno.json", "[]", "holds a list"),
        ("order.txt", "a", "class 'b' is not in the file of classes"),
    ],
)
def test_the_command_says_what_is_wrong_and_writes_nothing(
    files: dict[str, Path], name: str, text: str, says: str
) -> None:
    files[name].write_text(text)
    before = {path.name: path.read_text() for path in files["list.txt"].parent.iterdir()}
    done = run(files)
    assert done.exit_code == 2 and says in done.output and "Traceback" not in done.output
    assert {path.name: path.read_text() for path in files["list.txt"].parent.iterdir()} == before
