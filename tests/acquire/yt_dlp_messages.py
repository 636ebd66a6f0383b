"""Every message of the installed yt-dlp that a crawl of YouTube can meet, read from its source.

``python tests/acquire/yt_dlp_messages.py`` prints what ``yt_dlp_messages.tsv`` should hold for the installed version:
the lines that are there keep their verdict, new ones get a ``?``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yt_dlp

HERE = Path(__file__).with_suffix(".tsv")
ROOT = Path(yt_dlp.__file__).parent
MODULES = (
    "extractor/youtube/_base.py", "extractor/youtube/_video.py", "extractor/youtube/jsc/**/*.py",
    "extractor/youtube/pot/**/*.py", "extractor/common.py", "downloader/common.py", "downloader/http.py",
    "downloader/fragment.py", "downloader/dash.py", "downloader/hls.py", "downloader/external.py", "YoutubeDL.py",
    "postprocessor/ffmpeg.py", "networking/common.py", "networking/_helper.py", "networking/_urllib.py",
    "networking/_requests.py", "networking/exceptions.py", "utils/_utils.py",
)  # fmt: skip
ERRORS = {
    "ExtractorError", "RegexNotFoundError", "GeoRestrictedError", "DownloadError", "RequestError", "TransportError",
    "ProxyError", "SSLError", "UnsupportedRequest", "PostProcessingError", "FFmpegPostProcessorError", "ReExtractInfo",
    "OSError", "ContentTooShortError", "UnavailableVideoError", "YoutubeDLError", "JsChallengeProviderError",
}  # fmt: skip
HELPERS = {
    "raise_no_formats", "raise_login_required", "raise_geo_restricted", "report_drm", "report_error", "trouble",
}  # fmt: skip
WARNINGS = {"report_warning", "warning", "error"}


class Message(NamedTuple):
    """``how``: ``error``, ``expected`` (an ExtractorError with ``expected=True``) or ``warning``; holes are ``{}``."""

    module: str
    how: str
    text: str


def messages() -> list[Message]:
    """All of them, in the order of the files, each once."""
    found: dict[Message, None] = {}
    for pattern in MODULES:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            for how, text in _of(ast.parse(path.read_text(encoding="utf-8")), warns="youtube" in name):
                if any(letter.isalpha() for letter in text.replace("{}", "")):
                    found.setdefault(Message(name, how, text))
    return list(found)


def known() -> dict[Message, str]:
    """The table: message to verdict."""
    rows = [line.split("\t") for line in HERE.read_text(encoding="utf-8").splitlines() if line[:1] not in ("", "#")]
    return {Message(module, how, text): verdict for module, how, verdict, text in rows}


def _of(tree: ast.AST, *, warns: bool) -> Iterator[tuple[str, str]]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for scope in (tree, *functions):
        named = _named(scope)
        for node in _calls(scope):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            how = "error" if name in ERRORS | HELPERS else "warning" if name in WARNINGS and warns else ""
            if not how:
                continue
            if any(one.arg == "expected" and getattr(one.value, "value", 0) is True for one in node.keywords):
                how = "expected" if how == "error" else how
            if name == "raise_login_required":
                how = "expected"
            for value in [*node.args[:1], *(one.value for one in node.keywords if one.arg == "msg")]:
                for text in named.get(value.id, []) if isinstance(value, ast.Name) else _texts(value):
                    yield how, " ".join(text.split())
    for node in functions:  # the words of the helpers themselves
        if node.name in HELPERS:
            for value in node.args.defaults[:1]:
                yield from (("expected", text) for text in _texts(value))


def _calls(scope: ast.AST) -> Iterator[ast.Call]:
    """Those of the scope itself, not of functions in it."""
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.Call):
            yield node
        if not isinstance(node, ast.FunctionDef):
            yield from _calls(node)


def _named(scope: ast.AST) -> dict[str, list[str]]:
    """Texts that are given to a name before it is raised."""
    named: dict[str, list[str]] = {}
    for node in ast.walk(scope):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(node, ast.Assign | ast.AugAssign) and isinstance(target, ast.Name):
            named.setdefault(target.id, []).extend(_texts(node.value))
    return named


def _texts(node: ast.AST) -> list[str]:
    """What an expression can say; what is only known at run time is ``{}``."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    if isinstance(node, ast.BoolOp):
        return [text for value in node.values for text in _texts(value)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return [text.replace("%s", "{}").replace("%d", "{}") for text in _texts(node.left)]
    if isinstance(node, ast.BinOp):
        return [a + b for a in _texts(node.left) or ["{}"] for b in _texts(node.right) or ["{}"]]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("format", "join"):
        return _texts(node.func.value)
    return []


if __name__ == "__main__":
    verdicts = known() if HERE.exists() else {}
    print("# yt-dlp's messages. module, how, verdict (a reason, 'warns', or 'never: why'), text")
    for one in messages():
        print(one.module, one.how, verdicts.get(one, "?"), one.text, sep="\t")
