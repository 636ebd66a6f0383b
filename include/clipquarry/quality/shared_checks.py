"""Checks that families share: of a catalog, of clips that were fetched, of folders of frames."""

from __future__ import annotations

from typing import Final

from clipquarry.quality.check import Check

CHECKS: Final[tuple[Check, ...]] = (
    # annotations: after the catalog was built
    Check("annotations.not_empty", "annotations", "error", "the catalog has usable rows",
          "An empty catalog would make every later check pass on nothing.", "C04",
          advice="Look at the annotation file that the run took. Download it again, or name another annotation "
                 "source in the data set's YAML."),
    Check("annotations.split", "annotations", "error", "every chosen split has usable rows",
          "A csv with only its header passes every check of its rows, and a split without a row is never evaluated.", "C04",
          advice="The split's csv has only its header, or rows that are all rejected: download it again, or choose "
                 "the other splits (`splits`)."),
    Check("annotations.rejected", "annotations", "warn", "csv rows are usable",
          "A rejected row is a clip nobody will look for; more than a few mean a damaged or foreign csv.",
          "C10", "rejected_error",
          broken="csv rows are unusable",
          advice="Read the evidence of the rows: a handful in a published csv can stay. More mean that the file was "
                 "damaged (saved by a spreadsheet, cut, wrong encoding): download it again."),
    Check("annotations.item_unique", "annotations", "error", "items are unique",
          "Two rows of one item would fetch, count and list it twice.", "K-I1",
          broken="items are there twice",
          advice="Report it with the two rows: it is a defect of the catalog, not of your csv."),
    Check("annotations.words", "annotations", "error", "statuses and reasons are known words",
          "Policies and reports look rows up by these words.",
          advice="The catalog was written by another version of Clipquarry: run the annotations stage again."),
    Check("annotations.id_syntax", "annotations", "error", "video ids have the right form",
          "A wrong id is asked of every source for ever, and may be a path or an option.", "K-I1, C09, A-I1, AK-I1",
          broken="video ids have a wrong form",
          advice="Correct the id in your csv, or set `item.id_regex` in the YAML when the data set's videos are not "
                 "from YouTube."),
    Check("annotations.time_order", "annotations", "error", "windows are 0 <= start < end",
          "Swapped or negative times cut nothing, or the wrong part.", "K-I1, C10",
          broken="windows have reversed or negative times",
          advice="Correct the times in the csv; start and end may be swapped."),
    Check("annotations.window_length", "annotations", "warn", "windows are not longer than usual",
          "A longer window is often a typing error in a time.", "K-I1, AK-I2",
          broken="windows are longer than usual",
          advice="Compare the row with the published csv. When longer windows are meant, raise `recipe.max_seconds` "
                 "in the YAML."),
    Check("annotations.names", "annotations", "error", "item, clip and folder names follow from the row",
          "A name one second off is another clip, and its file will never match the csv.", "K-I3, AK-I2",
          broken="rows have a name that does not follow from them",
          advice="The catalog was changed after it was built: run the annotations stage again."),
    Check("annotations.rows", "annotations", "error", "the csv has the published number of rows",
          "A short csv is a broken download; a long one is another version.", "C05",
          advice="Download the csv again. When it is your own or a newer snapshot, put its number of rows into "
                 "`expected`, or run with `annotation_counts: warn`."),
    Check("annotations.sha256", "annotations", "info", "the csv is byte for byte the published one",
          "Tells a copy with the right number of rows from the original.", "C01",
          advice="Nothing, when the other checks hold: the rows are there, but the file is not the published bytes."),
    Check("annotations.changed", "annotations", "warn", "annotation files are the ones that were first seen",
          "A file that was replaced under the same name is another version, and runs no longer compare.", "C01, C05",
          advice="Compare the file with your old copy, and run the annotations stage again. When the new version is "
                 "meant, remove its entry in the data set's pins file, `.clipquarry/state/*.pins.json` in the data "
                 "root."),
    # clips: after fetch and record
    Check("clips.selected", "clips", "warn", "the run selected clips",
          "A run without clips checks nothing.",
          advice="Look at the run's classes, splits and limit. A refresh in which nothing was due yet is fine."),
    Check("clips.one_row", "clips", "error", "every selected clip has exactly one result",
          "A clip without a result was lost by a shard, one with two is counted twice.", "K-I4",
          broken="selected clips have no result, or two",
          advice="Clear the task of the lost shard and run it again (`results: 0`). Two results of one clip are a "
                 "defect: report it."),
    Check("clips.in_catalog", "clips", "error", "every result belongs to the catalog",
          "A result of a clip the annotations do not name comes from another version.",
          broken="results are not of the catalog",
          advice="The annotation files changed between two stages of this run: start a new run."),
    Check("clips.words", "clips", "error", "statuses and reasons are known words",
          "Policies and reports look rows up by these words.",
          advice="The manifest was written by another version of Clipquarry: run the fetch stage again."),
    Check("clips.explained", "clips", "error", "missing clips have a reason and evidence, present ones none",
          "Nobody can act on a clip that is missing without a reason.",
          advice="A defect of the source that was asked, named in the row: report it with the row."),
    Check("clips.coverage", "clips", "warn", "enough clips are there",
          "Videos disappear from the net; too many at once are our fault or a dead mirror.",
          "C11, C25", "missing.error",
          broken="clips are missing",
          advice="Sort the rows by reason: for what was removed for good, add a mirror to the sources. Repair what "
                 "`no_network`, `bot_check` and `tool_stale` name on this machine, and the next run brings those "
                 "clips."),
    Check("clips.stopped", "clips", "warn", "every clip was asked for",
          "A closed breaker, a budget or a missing network left clips unasked: they say nothing about coverage yet.",
          broken="clips were not asked for",
          advice="Wait until the breaker closes, or repair the network, and run again; nothing is known about these "
                 "clips yet."),
    Check("clips.our_fault", "clips", "warn", "clips are not lost to our own tools",
          "An outdated yt-dlp or a broken tool looks like missing videos, and is repaired here, not there.",
          blocks_above="our_fault_error",
          broken="clips are lost to our own tools",
          advice="Upgrade yt-dlp and its challenge scripts together, read the task's log, then run again: such clips "
                 "are tried again at once."),
    Check("clips.wrong_bytes", "clips", "warn", "sources send videos",
          "A source that sends web pages or torn files under a video's name loses clips it could give.", "C01",
          broken="clips came as something else than a video",
          advice="Open the address from the evidence. A mirror that answers with a page has moved or asks for a "
                 "login; switch it off until it is repaired."),
    Check("clips.facts", "clips", "error", "clips have bytes, frames and a size",
          "A clip that cannot be decoded stops a training run days later.", "K-I5, C11",
          broken="clips lack bytes, frames or a size",
          advice="Delete the file, which makes it fetched again; when it comes back the same, take its source out."),
    Check("clips.sha256", "clips", "error", "clips have a checksum",
          "Two copies of a data set are compared by it.",
          broken="clips have no checksum",
          advice="The manifest was changed by hand or by another version: run the fetch stage again."),
    Check("clips.path", "clips", "error", "clips lie where the layout says",
          "Lists and readers find a clip by its class folder and its name.", "K-I3",
          broken="clips do not lie where the layout says",
          advice="The layout in the YAML changed after the clips were fetched: run again, which links them to the "
                 "new place."),
    Check("clips.on_disk", "clips", "error", "the files on disk are the recorded ones",
          "A table may be right about a file that was emptied, cut or replaced since.", "C01, C11",
          advice="Look for what else writes into the data root: `disk` says what happened to the file. Then run "
                 "again: the file is set aside and fetched anew."),
    Check("clips.longer", "clips", "warn", "clips are not longer than annotated",
          "A longer clip shows what was not annotated; many mean that the cut is wrong.", "K-I5, C12, AK-I2", "long_error",
          broken="clips are longer than annotated",
          advice="When `source` is a mirror of ready clips, it cuts wrongly: put it behind the others, delete the "
                 "clips and run again. When it is a source of whole videos, report it."),
    Check("clips.shorter", "clips", "warn", "sources are not shorter than annotated",
          "A video shorter than its annotation gives no clip; many mean truncated downloads or times of another version.",
          "K-I5, C12, AK-I2", "short_error",
          broken="clips are shorter than annotated",
          advice="Look at one: the video ends before its annotation, or the download was cut. When many come from "
                 "one `source`, it cuts badly: put it behind the others."),
    Check("clips.height", "clips", "warn", "clips have the height that was asked for",
          "A source may give half a data set at 360 lines, and training sees two kinds of pixels.",
          broken="clips are lower than what was asked for",
          advice="Look at `source` and at the report's distribution: a source lacks the better format, or yt-dlp is "
                 "outdated. Delete the low clips and run again, or accept them with a higher `low_warn`."),
    Check("clips.duplicate_content", "clips", "warn", "different videos have different bytes",
          "A source that answers many ids with one file, such as a placeholder, gives wrong labels.",
          broken="clips have the bytes of another video",
          advice="Watch one of them: a video that was uploaded twice is harmless. A placeholder (“video "
                 "unavailable”) means that the source is broken: switch it off and delete the clips."),
    Check("clips.black", "clips", "warn", "clips are not black",
          "A black clip decodes, has its length, and teaches nothing.",
          broken="clips are black",
          advice="Look at the strips in the report: single faded or dark videos may stay, or leave your lists. When "
                 "many come from one `source`, put it behind the others, delete the clips and run again."),
    Check("clips.one_colour", "clips", "warn", "clips are not of one colour",
          "A decoder or a converter that failed gives green or grey frames.",
          broken="clips are of one colour",
          advice="Look at the strips in the report and play one. When the source's file is so too, put that source "
                 "behind the others, delete the clips and run again."),
    Check("clips.frozen", "clips", "warn", "something moves in every clip",
          "A frozen frame has no action; many mean a broken source.",
          broken="clips are one frozen frame",
          advice="Look at the strips in the report: a few screencasts are harmless. When many ids show a placeholder "
                 "or a title card, switch that source off and delete the clips."),
    Check("clips.slide_show", "clips", "warn", "clips are not slide shows",
          "A slide show replaces a video that the source does not have.",
          broken="clips are slide shows",
          advice="Play some of them. When the original moves, the source thinned it: put it behind the others, "
                 "delete the clips and run again."),
    Check("clips.uneven_rate", "clips", "warn", "clips have an even rate",
          "Readers that count frames are in the wrong second of a clip of variable rate.",
          broken="clips have a variable rate",
          advice="Set `recipe.fps` in the YAML, so that every clip gets one rate, or use a reader that seeks by "
                 "time. Accept them with a higher `uneven_warn`."),
    Check("clips.silent", "clips", "warn", "clips have a sound",
          "A lost track of sound is noticed by nobody who only looks.",
          broken="clips have no sound",
          advice="Play the original: when it has a sound, the source lost it (`sound` says whether the track is "
                 "silent or absent). When you need no sound, set `recipe.audio: none`."),
    Check("clips.near_copy", "clips", "warn", "no clip shows the same as one of another video in another split",
          "A video that was uploaded twice is trained on and evaluated on, under two ids.", "C08",
          broken="clips show the same as a clip of another video",
          advice="`copy_of` names the other clip and its window; compare their strips in the report. Leave one of "
                 "the two out of your lists, and say so beside your results."),
    # frames: after frames were extracted
    Check("frames.one_row", "frames", "error", "every clip has exactly one frames result",
          "A clip without a result was lost by a shard.", "K-I4",
          advice="A shard was lost: clear its task and run it again."),
    Check("frames.made", "frames", "warn", "frames were made",
          "The clip is there, so missing frames are our fault.", blocks_above="made_error",
          broken="folders of frames were not made",
          advice="Read the evidence. Delete a clip that cannot be decoded, and it is fetched again."),
    Check("frames.path", "frames", "error", "frame folders lie where the layout says",
          "Lists and readers find a folder by its class and its name.", "K-I3",
          advice="The layout in the YAML changed between two stages: run the stage again."),
    Check("frames.count", "frames", "warn", "frames = rate x duration, give or take 2",
          "Too few frames are a torn decode, too many a wrong rate.", "K-I6, C14",
          broken="folders have another number of frames than rate x duration",
          advice="Single rows are clips with a damaged end or a variable rate: set a minimum of frames in your "
                 "reader. When all rows break this, the rate is wrong: run the frames stage with the right one."),
    Check("frames.rate", "frames", "error", "the frame rate is as asked",
          "Clips of mixed rates play at different speeds in one batch.", "K-I6, AK-I5",
          advice="Frames of an earlier run with another rate lie there: run the stage again."),
    Check("frames.size", "frames", "warn", "frames have the size that was asked for",
          "Readers that batch without resizing stop at the first odd one.", "C15",
          advice="Frames of an earlier run with another size lie there: run the stage again."),
    Check("frames.contiguous", "frames", "error", "frames are numbered from 1 without a gap",
          "Readers compute file names; the first gap stops a training run.", "K-I6, C14, AK-I5",
          broken="folders have a gap in their numbers",
          advice="Frames were deleted or added by hand, or the disk was full: delete the folder and run the stage "
                 "again."),
    Check("frames.on_disk", "frames", "error", "frames are whole JPEGs of the recorded size",
          "An empty, torn or odd-sized frame stops a training run, or is read as grey.", "C15, C17",
          advice="`disk` names the first odd frame. Delete the folder and run the step again."),
    Check("frames.shown", "frames", "warn", "frames show their clip",
          "A folder that was filled from another clip has the right names, numbers and sizes.", "C17",
          broken="folders show another clip",
          advice="`shows` says what they differ from. Delete the folder and run again; look for what else writes "
                 "into the data root."),
    Check("frames.content", "frames", "warn", "frames of clips without measurements show something that moves",
          "Black, flat or frozen frames train on nothing.",
          broken="folders show hardly anything",
          advice="Look at the folders that are named; the scope says what they show. When a source is broken, put it "
                 "behind the others, delete clip and folder and run again."),
)  # fmt: skip
"""In the order of a run."""
