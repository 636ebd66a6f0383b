"""Checks of data sets whose splits hold different things: folders of files, parts of long videos, published lists."""

from __future__ import annotations

from typing import Final

from clipquarry.quality.check import Check

CHECKS: Final[tuple[Check, ...]] = (
    Check("folders.usable", "clips", "warn", "every file of a folder can be decoded",
          "A picture or video that does not decode stops a training run days later.", "C11",
          broken="folders hold files that cannot be used",
          advice="Few do no harm: the written lists leave them out, and `list_problems.csv` names them. "
                 "Of many, unpack or download the volume again."),
    Check("parts.count", "clips", "error", "a long video has as many parts as its frames need",
          "A part too few is footage that nobody can read any more once the video is deleted.", "C13",
          broken="long videos have another number of parts",
          advice="Move the folder of parts away and run again: the video is cut anew. Nothing was deleted."),
    Check("parts.cover", "clips", "error", "the parts are together as long as their video",
          "A gap between two parts is footage that is lost once the video is deleted.", "C13",
          broken="long videos are half a second longer or shorter than their parts",
          advice="Move the folder of parts away and run again: the video is cut anew. Nothing was deleted."),
    Check("listed.placed", "lists", "info", "all published lists were placed",
          "A training that names an absent list does not start.", "C01",
          broken="published lists were not placed",
          advice="Put the lists that you train with into the data set's folder `annotations`, and run again."),
    Check("listed.count", "lists", "warn", "a list has as many entries as published",
          "Fewer entries are a list that was cut off, or another version.", "C25",
          broken="lists have another number of entries",
          advice="Download the list again. Of your own lists, this says only that they are not the published ones."),
    Check("listed.balance", "lists", "error", "every entry is written or left out with a reason",
          "An entry that is in neither was lost.", "C18",
          broken="lists lost entries",
          advice="Run the stage that writes the lists again. When it stays, report it: this is an error of Clipquarry."),
    Check("listed.syntax", "lists", "error", "every entry can be read",
          "Readers split at one blank, or fail at the first odd line after hours.", "C16, C19",
          broken="entries cannot be read",
          advice="The evidence says what is wrong. Download the list again, or correct the line; the written list leaves "
                 "it out."),
    Check("listed.unique", "lists", "error", "no file is listed twice",
          "A file that is there twice counts twice, and perhaps with two classes.", "C16",
          broken="entries name a file that an entry before names",
          advice="Download the list again, or take the second line out. The written list has the first one only."),
    Check("listed.class", "lists", "error", "every class is one of the data set's",
          "Training code takes the number as it is.", "C06",
          broken="entries have a class that there is not",
          advice="Download the list again: numbers go by the lines of the file of classes, from 0."),
    Check("listed.folder", "lists", "warn", "files lie in the folder of their class",
          "Folders of web data are called by their class; another number is a list of another order of classes.", "C06",
          broken="entries lie in a folder that does not fit",
          advice="Compare the list with the file of classes. When all lines are wrong, the list is of another numbering."),
    Check("listed.absent", "lists", "warn", "every listed file is there",
          "Readers stop at the first file that is absent.", "C17",
          broken="entries name files that are not there",
          advice="Place the volumes that lack, and run again; the written lists leave these entries out. Train with them "
                 "meanwhile."),
    Check("listed.usable", "lists", "warn", "every listed file can be decoded",
          "A file that does not decode stops a training run days later.", "C11, C17",
          broken="entries name files that cannot be used",
          advice="Train with the written lists, which leave these entries out."),
    Check("listed.asked", "lists", "info", "every listed item was asked for",
          "A run with `limit` takes the first items only; the lists that it writes have no others.", "C18",
          broken="entries are of items that this run did not take",
          advice="Nothing after a trial. Run without `limit` for whole lists."),
    Check("listed.clips", "lists", "warn", "a long video has as many parts as its list says",
          "Readers draw a part by this number, and fail where there is none.", "C13, C19",
          broken="entries say another number of parts",
          advice="Train with the written list, which has the number of parts on disk. mmaction2's script also counts a last "
                 "part without any frame."),
    Check("listed.positive", "lists", "warn", "every chosen part is there",
          "Readers open exactly these parts.", "C13, C19",
          broken="entries choose parts that are not there",
          advice="Train with the written list, which leaves these entries out. The video may be another version: place its "
                 "volume again."),
)  # fmt: skip
