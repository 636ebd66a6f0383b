"""A family's sample: a tiny data set that the demo, the tests and the benchmarks make, serve and run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clipquarry.settings import DataRoot


@dataclass(frozen=True)
class Served:
    """A sample as its sources serve it: the files below ``folder``, and the dead links among them."""

    folder: Path
    plan: dict[str, Any]
    """How a link misbehaves, by its path below the server: see :mod:`clipquarry.demo.origin`."""
    serves: str
    """What the server offers, in a few words."""
    about: tuple[str, ...] = ()
    """Sentences on what the videos show."""
    back: str = ""
    """Id of the video whose dead link works again later, so that a refresh finds it; empty: none does."""
    by_hand: Path | None = None
    """Folder with what no source serves: a person places it in the data set's folder."""

    def place(self, folder: Path) -> None:
        """Do what the person does; ``folder`` is that of the data set."""
        if self.by_hand is not None:
            shutil.copytree(self.by_hand, folder, dirs_exist_ok=True)

    def after_the_return(self) -> dict[str, Any]:
        """The plan once the dead link works again."""
        return {path: how for path, how in self.plan.items() if not self.back or self.back not in path}


def _nothing(data: DataRoot, run: str) -> Iterable[str]:
    return ()


@dataclass(frozen=True)
class Sample:
    """The sources of the data set have the address ``${CLIPQUARRY_DEMO_URL}``, where a web server serves what ``make`` made."""

    dataset: str
    """Name of the data set."""
    params: Mapping[str, Any]
    """Parameters of its run."""
    make: Callable[[Path], Served]
    """Makes what is not there yet below a folder. The same content each time."""
    results: Callable[[DataRoot, str], Iterable[str]] = _nothing
    """Sentences on what a run found, besides its counts and gates."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Paths below the data set's folder that a person may want to see, by a word for each."""
    person: Callable[[DataRoot], Iterable[str]] | None = None
    """Does what people do on a page while the run waits for them, and says so, sentence by sentence. None: it never waits."""
    then: str = ""
    """What a person does with data of their own, in a sentence or two."""
    with_video: Callable[[Path], Sample] | None = None
    """The sample with a video of the user's in it, or where that is said of it, with those of a folder. Raises UserError for one that cannot be used. None: it takes none."""
