"""The documentation names every command, option and target of the Makefile that there is, and no other."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner
from clipquarry import cli
from doc_pages import COMMANDS, PAGES, ROOT, fenced, section


def command(name: str) -> click.Command:
    """By its name, or by those of a group and its command."""
    found: click.Command | None = cli.main
    for word in name.split():
        assert isinstance(found, click.Group)
        found = found.get_command(click.Context(cli.main), word)
    assert found is not None
    return found


def all_commands() -> Iterator[str]:
    """Names of the commands, and of those in groups."""
    for name in cli.COMMANDS:
        found = command(name)
        yield from (f"{name} {one}" for one in found.commands) if isinstance(found, click.Group) else (name,)


def options_of(command: click.Command) -> set[str]:
    params = [param for param in command.params if isinstance(param, click.Option)]
    return {name for param in params for name in (*param.opts, *param.secondary_opts)}


def test_commands_have_a_section_with_an_example_and_their_options() -> None:
    lacking = {}
    for name in all_commands():
        text = section(COMMANDS, f"`clipquarry {name}\\b")
        has = {
            "an example": any(f"clipquarry {name}" in code for language, code in fenced(text) if language == "sh"),
            "its options": not options_of(command(name)) or f': options {name} -->' in text or (
                "Same options as `run`" in text and options_of(command(name)) == options_of(command("run"))),
        }  # fmt: skip
        if missing := [what for what, is_there in has.items() if not is_there]:
            lacking[name] = missing
    assert lacking == {}


def test_every_option_says_what_it_takes_and_what_it_does() -> None:
    """Both stand in ``--help`` and, generated, in docs/commands.md."""
    silent = {
        f"{name} {option.opts[0]}"
        for name in all_commands()
        for option in command(name).params
        if isinstance(option, click.Option)
        and not ((option.help or "").endswith(".") and (option.is_flag or option.metavar))
    }
    assert silent == set()


def shell_lines(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    blocks = [line for language, code in fenced(text) if language == "sh" for line in code.splitlines()]
    return [*blocks, *re.findall(r"`(clipquarry [^`\n]+)`", text)]


def wrong_commands(page: Path) -> Iterator[str]:
    for line in shell_lines(page):
        words = shlex.split(line.replace("\\|", "|"), comments=True)
        if len(words) < 2 or words[0] != "clipquarry":
            continue
        name, rest = words[1], words[2:]
        if name in ("--version", "--help", "-h", "COMMAND"):
            continue
        if name not in cli.COMMANDS:
            yield f"{page.name}: {line!r}: there is no command {name}"
            continue
        if isinstance(command(name), click.Group):
            if not rest:
                continue  # the group itself
            if f"{name} {rest[0]}" not in all_commands():
                yield f"{page.name}: {line!r}: {name} has no such command"
                continue
            name = f"{name} {rest[0]}"
        known = options_of(command(name)) | {"--help", "--"}
        unknown = [word for word in rest if word.startswith("--") and word not in known]
        yield from (f"{page.name}: {line!r}: {name} has no {word}" for word in unknown)


def test_pages_name_only_commands_and_options_that_exist() -> None:
    assert [fault for page in PAGES for fault in wrong_commands(page)] == []


def test_pages_name_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    unknown = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = {*re.findall(r"`make ([a-z-]+)", text), *re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)}
        if named - targets:
            unknown[page.name] = sorted(named - targets)
    assert unknown == {}, "the Makefile has none of these"


def test_the_documented_help_works() -> None:
    assert CliRunner().invoke(cli.main, ["run", "-h"]).exit_code == 0
