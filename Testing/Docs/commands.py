"""docs/reference/commands.md, made from the parsers of the command line: python Testing/Docs/commands.py [--check]"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from SIFALib.cli.main import build_parser
from SIFALib.cli.shared import Parser

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md"
HEAD = """# Commands

Every command of `sifa` with its options, made from the program itself (`python Testing/Docs/commands.py`). What they are
for, and in which order, stands in [how to segment](../how-to/command-line.md) and [how to
adapt](../how-to/adapt-from-the-command-line.md); `sifa COMMAND --help` says more.

"""


def text() -> str:
    """The whole page."""
    parser = build_parser()
    parts = [HEAD, f"```text\n{(parser.epilog or '').strip()}\n```\n"]
    parts += [section(name, command) for name, command in commands(parser, "sifa")]
    return "\n".join(parts)


def commands(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Name and parser of every command that does something, and of its own commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                yield f"{name} {word}", inner
                yield from commands(inner, f"{name} {word}")


def section(name: str, parser: argparse.ArgumentParser) -> str:
    """What one command takes, as a table."""
    if isinstance(parser, Parser) and parser.before_help is not None:
        parser.before_help()  # it fills in what `--help` says
    positional = [a for a in parser._actions if not a.option_strings and a.dest != argparse.SUPPRESS]
    positional = [a for a in positional if not isinstance(a, argparse._SubParsersAction)]
    words = " ".join(shown(action) for action in positional)
    rows = [
        f"| `{', '.join(a.option_strings)}{value(a)}` | {told(a)} |"
        for a in parser._actions
        if a.option_strings and a.help is not argparse.SUPPRESS and "--help" not in a.option_strings
    ]
    rows = [*(f"| `{shown(a)}` | {told(a)} |" for a in positional if a.help), *rows]
    table = "\n".join(["| | |", "|---|---|", *rows]) + "\n" if rows else ""
    first = (parser.description or "").strip().split("\n\n")[0].replace("\n", " ")
    return f"## `{name} {words}`".rstrip("` ") + f"`\n\n{first}\n\n{table}"


def shown(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest)
    return f"[{name} ...]" if action.nargs == "*" else f"[{name}]" if action.nargs == "?" else name


def value(action: argparse.Action) -> str:
    """ " FILE", or " a|b|c", or nothing for a switch."""
    if action.nargs == 0:
        return ""
    if action.choices:
        return " " + "\\|".join(map(str, action.choices))
    return f" {action.metavar or action.dest.upper()}"


def told(action: argparse.Action) -> str:
    """The help on one line, with its default."""
    text = " ".join((action.help or "").replace("%(default)s", str(action.default)).split())
    return text.replace("%%", "%").replace("|", "\\|")


def main() -> int:
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text(), encoding="utf-8")
        return 0
    return 0 if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text() else 1


if __name__ == "__main__":
    sys.exit(main())
