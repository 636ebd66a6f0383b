"""The catalogue of checks: every check a gate can report, with its weight and the reason for it.

``docs/checks.md`` documents each one; a test holds the page against this catalogue. The ``invariant`` names the rule of
the Kinetics family that the check stands for (``K-I*``), or the general one (``C*``), where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Gate = Literal["annotations", "clips", "frames", "lists"]
Severity = Literal["error", "warn", "info"]

GATES: Final[tuple[Gate, ...]] = ("annotations", "clips", "frames", "lists")
"""The gates, in the order of a run."""


@dataclass(frozen=True)
class Check:
    """One check. ``severity`` is what breaking it does: ``error`` blocks, ``warn`` warns, ``info`` is only told.

    A check with ``blocks_above`` becomes an ``error`` when the share of rows that break it is above that threshold.
    """

    id: str
    gate: Gate
    severity: Severity
    title: str
    why: str
    invariant: str = ""
    blocks_above: str = ""


def _catalogue(*checks: Check) -> dict[str, Check]:
    return {check.id: check for check in checks}


CATALOGUE: Final[dict[str, Check]] = _catalogue(
    # annotations: after the catalog was built
    Check("annotations.not_empty", "annotations", "error", "the catalog has usable rows",
          "An empty catalog would make every later check pass on nothing.", "C04"),
    Check("annotations.rejected", "annotations", "warn", "csv rows are usable",
          "A rejected row is a clip nobody will look for; more than a few mean a damaged or foreign csv.",
          "C10", "rejected_error"),
    Check("annotations.item_unique", "annotations", "error", "items are unique",
          "Two rows of one item would fetch, count and list it twice.", "K-I1"),
    Check("annotations.words", "annotations", "error", "statuses and reasons are known words",
          "Policies and reports look rows up by these words."),
    Check("annotations.id_syntax", "annotations", "error", "video ids have the right form",
          "A wrong id is asked of every source for ever, and may be a path or an option.", "K-I1, C09"),
    Check("annotations.time_order", "annotations", "error", "windows are 0 <= start < end",
          "Swapped or negative times cut nothing, or the wrong part.", "K-I1, C10"),
    Check("annotations.window_length", "annotations", "warn", "windows are not longer than usual",
          "A longer window is often a typing error in a time.", "K-I1"),
    Check("annotations.names", "annotations", "error", "item, clip and folder names follow from the row",
          "A name one second off is another clip, and its file will never match the csv.", "K-I3"),
    Check("annotations.same_clip", "annotations", "info", "clips have one label",
          "The same clip under two labels is legal in Kinetics and gives two list lines.", "K-I1"),
    Check("annotations.split_disjoint", "annotations", "error", "no window of another split is in train",
          "A clip that is trained on and evaluated on makes the evaluation worthless.", "K-I7, C08"),
    Check("annotations.video_shared", "annotations", "info", "videos belong to one split",
          "Other windows of a training video are near copies; published splits have a few.", "C08"),
    Check("annotations.label_count", "annotations", "error", "the number of classes is the published one",
          "A class too few shifts every index behind it, a class too many is a typing error.", "K-I2, C07"),
    Check("annotations.label_index", "annotations", "error", "label indices are in range",
          "Training code takes the index as it is.", "K-I2, C06"),
    Check("annotations.label_complete", "annotations", "error", "every index stands for exactly one class",
          "A gap or a double means that lists of two runs disagree about what a number means.", "K-I2, C06"),
    Check("annotations.label_order", "annotations", "error", "classes are numbered in code-point order",
          "Published models expect this order; a shifted index trains and tests without any error.", "K-I2"),
    Check("annotations.label_in_train", "annotations", "error", "labels of all splits are in train",
          "A class that is never trained cannot be recognised, and has no index of its own.", "K-I2, C06"),
    Check("annotations.class_in_train", "annotations", "warn", "every class has a training clip",
          "An empty class is learnt from nothing.", "C06"),
    Check("annotations.rows", "annotations", "error", "the csv has the published number of rows",
          "A short csv is a broken download; a long one is another version.", "C05"),
    Check("annotations.sha256", "annotations", "info", "the csv is byte for byte the published one",
          "Tells a copy with the right number of rows from the original.", "C01"),
    # clips: after fetch and record
    Check("clips.selected", "clips", "warn", "the run selected clips",
          "A run without clips checks nothing."),
    Check("clips.one_row", "clips", "error", "every selected clip has exactly one result",
          "A clip without a result was lost by a shard, one with two is counted twice.", "K-I4"),
    Check("clips.in_catalog", "clips", "error", "every result belongs to the catalog",
          "A result of a clip the annotations do not name comes from another version."),
    Check("clips.words", "clips", "error", "statuses and reasons are known words",
          "Policies and reports look rows up by these words."),
    Check("clips.explained", "clips", "error", "missing clips have a reason and evidence, present ones none",
          "Nobody can act on a clip that is missing without a reason."),
    Check("clips.coverage", "clips", "warn", "enough clips are there",
          "Videos disappear from the net; too many at once are our fault or a dead mirror.",
          "C11, C25", "missing.error"),
    Check("clips.stopped", "clips", "warn", "every clip was asked for",
          "A closed breaker, a budget or a missing network left clips unasked: they say nothing about coverage yet."),
    Check("clips.our_fault", "clips", "warn", "clips are not lost to our own tools",
          "An outdated yt-dlp or a broken tool looks like missing videos, and is repaired here, not there.",
          blocks_above="our_fault_error"),
    Check("clips.wrong_bytes", "clips", "warn", "sources send videos",
          "A source that sends web pages or torn files under a video's name loses clips it could give.", "C01"),
    Check("clips.facts", "clips", "error", "clips have bytes, frames and a size",
          "A clip that cannot be decoded stops a training run days later.", "K-I5, C11"),
    Check("clips.sha256", "clips", "error", "clips have a checksum",
          "Two copies of a data set are compared by it."),
    Check("clips.path", "clips", "error", "clips lie where the layout says",
          "Lists and readers find a clip by its class folder and its name.", "K-I3"),
    Check("clips.longer", "clips", "error", "clips are not longer than annotated",
          "A longer clip shows what was not annotated: the cut is wrong.", "K-I5, C12"),
    Check("clips.shorter", "clips", "warn", "clips are not shorter than annotated",
          "A truncated download or a video shorter than its annotation.", "K-I5, C12", "short_error"),
    Check("clips.duplicate_content", "clips", "warn", "different videos have different bytes",
          "A source that answers many ids with one file, such as a placeholder, gives wrong labels."),
    # frames: after resize and frames
    Check("resize.one_row", "frames", "error", "every clip has exactly one resize result",
          "A clip without a result was lost by a shard.", "K-I4"),
    Check("resize.made", "frames", "warn", "resized copies were made",
          "The clip is there, so a missing copy is our fault.", blocks_above="made_error"),
    Check("resize.facts", "frames", "error", "resized copies have bytes, frames and a length",
          "A copy that cannot be decoded stops a training run days later.", "C11"),
    Check("resize.path", "frames", "error", "resized copies lie where the layout says",
          "Lists and readers find a copy by its class folder and its name.", "K-I3"),
    Check("resize.short_side", "frames", "error", "the short side is as asked",
          "Crops and published results assume it.", "K-I5, C15"),
    Check("resize.keyframe_gap", "frames", "error", "a key frame at least every 16 frames",
          "Random access to a clip decodes from the key frame before it; that is what these copies are for.", "K-I5"),
    Check("resize.no_audio", "frames", "error", "resized copies have no audio",
          "The published copies have none; audio costs space and time in every epoch.", "K-I5"),
    Check("resize.frame_count", "frames", "error", "a resized copy has as many frames as its clip",
          "Lost or doubled frames move everything that is counted in frames.", "K-I5"),
    Check("frames.one_row", "frames", "error", "every clip has exactly one frames result",
          "A clip without a result was lost by a shard.", "K-I4"),
    Check("frames.made", "frames", "warn", "frames were made",
          "The clip is there, so missing frames are our fault.", blocks_above="made_error"),
    Check("frames.path", "frames", "error", "frame folders lie where the layout says",
          "Lists and readers find a folder by its class and its name.", "K-I3"),
    Check("frames.count", "frames", "warn", "frames = rate x duration, give or take 2",
          "Too few frames are a torn decode, too many a wrong rate.", "K-I6, C14"),
    Check("frames.rate", "frames", "error", "the frame rate is as asked",
          "Clips of mixed rates play at different speeds in one batch.", "K-I6"),
    Check("frames.size", "frames", "warn", "frames have the size that was asked for",
          "Readers that batch without resizing stop at the first odd one.", "C15"),
    Check("frames.contiguous", "frames", "error", "images are numbered from 1 without a gap",
          "Readers compute file names; the first gap stops a training run.", "K-I6, C14"),
    # lists: after the list files
    Check("lists.exists", "lists", "error", "the list files are there",
          "Training code begins with them.", "C16"),
    Check("lists.final_newline", "lists", "error", "lists end with a line end",
          "A list without one was cut short, and joining lists would glue two lines.", "C16"),
    Check("lists.syntax", "lists", "error", "every line parses",
          "Readers split at blanks; a blank in a path or an empty line stops them.", "K-I3, C16"),
    Check("lists.unique", "lists", "error", "no line is there twice",
          "A doubled clip weighs twice.", "K-I4, C16"),
    Check("lists.row", "lists", "error", "every line belongs to a csv row",
          "A class folder or a time that no csv row has is a stray or misnamed file.", "K-I3"),
    Check("lists.index", "lists", "error", "the index on a line is the index of its folder",
          "A shifted index trains and tests without any error.", "K-I3"),
    Check("lists.files", "lists", "error", "every listed file is there",
          "The first absent file stops a training run.", "K-I3, C17"),
    Check("lists.total_frames", "lists", "error", "the number of frames on a line is the folder's",
          "Readers compute file names up to this number.", "C17"),
    Check("lists.present", "lists", "error", "every clip that is there is listed",
          "A fetched and verified clip that is not listed is work for nothing.", "K-I4"),
    Check("lists.balance", "lists", "error", "every csv row is listed or reported missing, never both",
          "What is in neither place is lost without a word.", "K-I4, C18"),
)  # fmt: skip
"""Every check by id."""
