"""``callguard doctor``: what is wrong with this installation, in plain words, with the line to paste."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from callguard.commands.checks.result import Check

app = typer.Typer(add_completion=False)

MARKS = {"ok": "green", "warn": "yellow", "fail": "red", "skip": "bright_black"}


@app.command()
def doctor(
    settings: Annotated[Path | None, typer.Option("--settings", help="Settings file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a finding.")] = False,
    language: Annotated[str, typer.Option("--lang", help="en or ja; default web.language.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Only what is wrong or worth a note.")] = False,
) -> None:
    """Check this installation. Exit code 1 where something is wrong. No setting is changed."""
    raise typer.Exit(asyncio.run(_examined(settings, as_json=as_json, language=language, quiet=quiet)))


async def _examined(settings: Path | None, *, as_json: bool, language: str, quiet: bool) -> int:
    from callguard.commands.checks.examine import examine
    from callguard.observe.check_words import STATES, other, title

    spoken = language if language in ("en", "ja") else _language(settings)
    counted: Counter[str] = Counter(dict.fromkeys(STATES, 0))
    skipped: list[str] = []
    async for check in examine(settings, language=spoken):
        counted[check.state.value] += 1
        if quiet and check.state.value not in ("fail", "warn"):
            continue
        if check.code.startswith("needs-") and not as_json:
            skipped.append(title(check.name, spoken))
        else:
            typer.echo(_as_json(check, spoken) if as_json else _as_text(check, spoken))
    if skipped:
        typer.echo(f"{_mark('skip', spoken)} {', '.join(skipped)}")
    typer.echo(other("sum", spoken, **counted), err=True)
    return 1 if counted["fail"] else 0


def _language(settings: Path | None) -> str:
    """What the settings say, English where they cannot be read."""
    from callguard.config import load_settings
    from callguard.model.errors import SettingsError

    try:
        return load_settings(settings).web.language
    except SettingsError:
        return "en"


def _as_json(check: Check, language: str) -> str:
    line: dict[str, object] = {
        "check": check.name,
        "state": check.state.value,
        "code": check.code,
        "text": check.words(language),
    }
    if check.paste is not None:
        line["paste"] = {"where": check.paste.where, "lines": check.paste.lines}
    return json.dumps(line, ensure_ascii=False)


def _as_text(check: Check, language: str) -> str:
    from callguard.observe.check_words import other, title

    state = check.state.value
    text = f"{_mark(state, language)} {title(check.name, language)}: {check.words(language)}"
    if check.paste is None:
        return text
    where = "shell" if check.paste.where == "shell" else "into"
    lines = "\n".join(f"           {line}" for line in check.paste.lines.splitlines())
    return f"{text}\n         {other(where, language, where=check.paste.where)}\n{lines}"


def _mark(state: str, language: str) -> str:
    """The state as a column of eight places; Japanese letters take two."""
    from callguard.observe.check_words import other

    word = other(state, language)
    return typer.style(word, fg=MARKS[state]) + " " * (8 - sum(1 if letter.isascii() else 2 for letter in word))
