"""Lists of temporal proposals: what is read, what is written, and what hostile ones say."""

from __future__ import annotations

import io
from itertools import groupby
from pathlib import Path

import pytest
from clipquarry.annotations.proposal_list import MAX_ROWS, read_blocks, write_block
from clipquarry.errors import UserError
from memory import traced_peak

LIST = """\
# 7
video_test_0000004
1012.5
30
2
7 0.1 0.25
0 0 1.0
1
7 0.81249 1 0.0999 0.2499
# 8
b
1
1
0
0
"""


def by_the_reference(text: str, frames: dict[str, int]) -> str:
    """mmaction2's ``load_localize_proposal_file`` and ``denormalize_proposal_file.py`` in short."""
    lines = text.splitlines(keepends=True)
    out = []
    blocks = [
        [line.strip() for line in group]
        for is_head, group in groupby(lines, lambda line: line.startswith("#"))
        if not is_head
    ]
    for index, info in enumerate(blocks):
        count = int(info[3])
        truths = [line.split() for line in info[4 : 4 + count]]
        found = [line.split() for line in info[5 + count : 5 + count + int(info[4 + count])]]
        n = frames[info[0]]
        gt = "".join(f"{int(a)} {int(float(b) * n)} {int(float(c) * n)}\n" for a, b, c in truths)
        proposals = "".join(
            f"{int(a)} {float(b):.04f} {float(c):.04f} {int(float(d) * n)} {int(float(e) * n)}\n"
            for a, b, c, d, e in found
        )
        out.append(f"# {index}\n{info[0]}\n{n}\n1\n{len(truths)}\n{gt}{len(found)}\n{proposals}")
    return "".join(out)


def saved(folder: Path, text: str) -> Path:
    path = folder / "list.txt"
    path.write_bytes(text.encode())
    return path


def written(path: Path, frames: dict[str, int]) -> str:
    handle = io.StringIO()
    for index, block in enumerate(read_blocks(path, normalised=True)):
        write_block(handle, index, block, frames[block.video])
    return handle.getvalue()


@pytest.mark.parametrize("frames", [1, 7, 30, 1012, 99_999])
def test_a_list_is_written_as_the_reference_writes_it(tmp_path: Path, frames: int) -> None:
    path, counts = saved(tmp_path, LIST), {"video_test_0000004": frames, "b": frames + 1}
    assert written(path, counts) == by_the_reference(LIST, counts)


def test_what_is_written_can_be_read_as_frames(tmp_path: Path) -> None:
    text = written(saved(tmp_path, LIST), {"video_test_0000004": 1012, "b": 5})
    first, second = read_blocks(saved(tmp_path, text), normalised=False)
    assert (first.line, first.video, first.frames, first.rate) == (1, "video_test_0000004", 1012, 1)
    assert first.truths[0] == (7, 101, 253, 6) and first.proposals == [(7, 0.8125, 1, 101, 252, 9)]
    assert (second.line, second.truths, second.proposals) == (10, [], [])


def test_any_line_end_and_blank_lines_between_blocks_are_fine(tmp_path: Path) -> None:
    plain = list(read_blocks(saved(tmp_path, LIST), normalised=True))
    text = LIST.replace("\n", " \r\n").replace("# 8", "\r\n# 8") + "\r\n\r\n"
    again = list(read_blocks(saved(tmp_path, text), normalised=True))
    assert [block.video for block in again] == [block.video for block in plain]
    assert [one[:3] for one in again[0].truths] == [one[:3] for one in plain[0].truths]


HOSTILE = [
    ("# 7\n", "", 1, "is not the beginning of a block"),
    ("video_test_0000004", "../../etc/passwd", 2, "the name of the video holds a slash"),
    ("video_test_0000004", "a b", 2, "the name of the video holds white space"),
    ("video_test_0000004", "", 2, "the name of the video is empty"),
    ("1012.5", "-1", 3, "'-1' is not the number of frames"),
    ("1012.5", "nan", 3, "'nan' is not the number of frames"),
    ("1012.5", "1e999", 3, "'1e999' is not the number of frames"),
    ("\n30\n", "\n-30\n", 4, "'-30' is not the frames a second"),
    ("\n2\n", "\n3\n", 8, "'1' is not 'label start end'"),
    ("\n2\n", "\n1\n", 7, "'0 0 1.0' is not the number of proposals"),
    ("\n2\n", f"\n{MAX_ROWS + 1}\n", 5, "is not the number of annotated intervals, a whole number to 200000"),
    ("\n2\n", "\n-1\n", 5, "'-1' is not the number of annotated intervals"),
    ("\n2\n", "\n" + "9" * 999_999 + "\n", 5, "it is longer than 1000 bytes"),
    ("7 0.1 0.25", "7.5 0.1 0.25", 6, "'7.5 0.1 0.25' is not 'label start end'"),
    ("7 0.1 0.25", "7 inf 0.25", 6, "'7 inf 0.25' is not 'label start end'"),
    ("7 0.1 0.25", "7 1e400 0.25", 6, "'7 1e400 0.25' is not 'label start end'"),
    ("7 0.1 0.25", "7 1_0 0.25", 6, "'7 1_0 0.25' is not 'label start end'"),
    ("7 0.1 0.25", "7 0.1 0.25 0.5", 6, "is not 'label start end'"),
    ("7 0.1 0.25", "7 \u0663 0.25", 6, "is not 'label start end'"),
    ("7 0.81249 1 0.0999 0.2499", "7 x 1 0.0999 0.2499", 9, "is not 'label best_iou overlap_self start end'"),
    ("0.2499\n", "0.2499\n7 1 1 0 1\n", 10, "is not the beginning of a block ('# 0'), nor announced by a count"),
]


@pytest.mark.parametrize(("before", "after", "line", "says"), HOSTILE)
def test_what_leaves_the_form_is_one_sentence_with_its_line(
    tmp_path: Path, before: str, after: str, line: int, says: str
) -> None:
    path = saved(tmp_path, LIST.replace(before, after, 1))
    with pytest.raises(UserError) as error:
        list(read_blocks(path, normalised=True))
    told = str(error.value)
    assert told.startswith(f"{path}, line {line}: ") and says in told and "\n" not in told and len(told) < 500


@pytest.mark.parametrize("lines", [1, 2, 3, 5, 7, 8])
def test_a_list_that_was_cut_says_where_it_ends(tmp_path: Path, lines: int) -> None:
    path = saved(tmp_path, "".join(LIST.splitlines(keepends=True)[:lines]))
    with pytest.raises(UserError, match=rf"ends after line {lines}, where .* is missing"):
        list(read_blocks(path, normalised=True))


def test_bytes_that_are_no_text_and_no_file_at_all_are_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(b"# 0\n\xff\xfe\n")
    with pytest.raises(UserError, match=r"line 2: .* is not UTF-8"):
        list(read_blocks(path, normalised=True))
    path.write_bytes(bytes(3_000_000))
    with pytest.raises(UserError, match="line 1: it is longer than 1000 bytes"):
        list(read_blocks(path, normalised=True))
    with pytest.raises(UserError, match="cannot be read"):
        list(read_blocks(tmp_path / "none.txt", normalised=True))


def test_frames_must_be_whole_where_a_list_holds_frames(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 6: .* is not 'label start end', with whole frames"):
        list(read_blocks(saved(tmp_path, LIST), normalised=False))


def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    def peak(blocks: int) -> int:
        path = saved(
            tmp_path,
            (LIST.split("# 8")[0].replace("\n1\n7 0.8", "\n200\n" + "7 1 1 0.1 0.2\n" * 199 + "7 0.8")) * blocks,
        )

        def count() -> int:
            return sum(len(block.proposals) for block in read_blocks(path, normalised=True))

        assert count() == 200 * blocks
        return traced_peak(count)

    assert peak(600) < 500_000, "of 1.7 million bytes"
