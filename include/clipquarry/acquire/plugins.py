"""Loading of yt-dlp's plug-ins that are allowed by name, and their arguments. All others are off.

A plug-in is code that runs in yt-dlp's process. The plug-ins that are useful here make PO tokens (proofs that a real
player sends the request), which YouTube requires for some of its formats: see ``docs/po-tokens.md``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from clipquarry.errors import MachineError, UserError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,99}\Z", re.ASCII)
_ARGS = re.compile(r"(?P<key>[A-Za-z0-9][\w-]*):(?P<args>.+)\Z", re.ASCII | re.DOTALL)


def load_plugins(names: Sequence[str]) -> None:
    """Import the plug-in modules ``yt_dlp_plugins.extractor.{name}``; no other plug-in is ever looked for.

    Raises UserError for an invalid module name, MachineError for a module that is not installed or cannot be imported.
    """
    os.environ.setdefault("YTDLP_NO_PLUGINS", "1")  # set before yt-dlp looks for plug-ins
    for name in names:
        if not _NAME.match(name):
            raise UserError(f"CLIPQUARRY_YTDLP_PLUGINS names {name[:60]!r}, which is no module of a yt-dlp plug-in.")
        import yt_dlp  # noqa: F401 - makes yt_dlp_plugins a package that can be found

        try:
            import_module(f"yt_dlp_plugins.extractor.{name}")
        except ImportError as error:
            raise MachineError(
                f"CLIPQUARRY_YTDLP_PLUGINS names '{name}', which cannot be imported here ({error}): install its package "
                "where steps run, or take it out."
            ) from error
        except Exception as error:  # a plug-in may raise anything
            raise MachineError(f"The yt-dlp plug-in '{name}' fails: {type(error).__name__}: {error}.") from error


def parse_extractor_args(texts: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Parse yt-dlp's ``--extractor-args``: each text is ``KEY:ARG=VALUE,VALUE;ARG=VALUE``. Raises UserError."""
    parsed: dict[str, dict[str, list[str]]] = {}
    for text in texts:
        match = _ARGS.match(text)
        if not match:
            raise UserError(
                f"CLIPQUARRY_YTDLP_ARGS holds {text[:80]!r}; write it as KEY:ARG=VALUE, such as "
                "youtubepot-bgutilhttp:base_url=http://localhost:4416."
            )
        args = parsed.setdefault(match["key"].lower(), {})
        for one in match["args"].split(";"):
            name, _, value = one.partition("=")
            args[name.strip().lower().replace("-", "_")] = [part.strip() for part in re.split(r"(?<!\\),", value)]
    return parsed


@dataclass(frozen=True)
class Provider:
    """A provider of PO tokens of an allowed plug-in."""

    name: str
    version: str
    answers: bool
    problem: str = ""


def providers(names: Sequence[str], extractor_args: Sequence[str] = ()) -> list[Provider]:
    """The providers of the allowed plug-ins, each with whether it answers. Raises as :func:`load_plugins`."""
    load_plugins(names)
    from yt_dlp import YoutubeDL
    from yt_dlp.extractor.youtube import YoutubeIE
    from yt_dlp.extractor.youtube.pot import _director as director
    from yt_dlp.extractor.youtube.pot._provider import BuiltinIEContentProvider
    from yt_dlp.extractor.youtube.pot._registry import _pot_providers

    with YoutubeDL({"quiet": True, "no_warnings": True, "extractor_args": parse_extractor_args(extractor_args)}) as ydl:
        extractor = YoutubeIE(ydl)
        made = director.initialize_pot_director(extractor).providers.values() if _pot_providers.value else []
        return [_checked(one) for one in made if not isinstance(one, BuiltinIEContentProvider)]


def _checked(provider: Any) -> Provider:
    name, version = str(provider.PROVIDER_NAME), str(provider.PROVIDER_VERSION)
    try:
        return Provider(name, version, bool(provider.is_available()))
    except Exception as error:  # noqa: BLE001  a plug-in may raise anything
        return Provider(name, version, False, f"{type(error).__name__}: {error}")
