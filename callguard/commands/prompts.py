"""``callguard prompts``: make, check and install announcements."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from callguard.promptfile import Prompt, PromptSet

app = typer.Typer(no_args_is_help=True, help="Build and install announcements.")

SettingsFile = Annotated[Path | None, typer.Option("--settings", help="Settings file.")]
Folder = Annotated[Path | None, typer.Option("--dir", help="Folder of texts and sounds; default prompts.dir.")]
Language = Annotated[str, typer.Option("--language", help="Only this language (en, ja).")]


@app.command()
def build(
    settings: SettingsFile = None,
    folder: Folder = None,
    language: Language = "",
    every: Annotated[bool, typer.Option("--all", help="Also those whose text did not change.")] = False,
) -> None:
    """Speak the texts whose sound is missing or older than the text."""
    from callguard import promptfile

    for prompts in _sets(settings, folder, language):

        def tell(prompt: Prompt, seconds: float, language: str = prompts.language) -> None:
            typer.echo(f"{language}/{prompt.name}  {seconds:.1f} s", err=True)

        count = promptfile.build(prompts, every=every, tell=tell)
        typer.echo(f"{prompts.language}: {count} made, {len(prompts.prompts) - count} were up to date", err=True)


@app.command()
def check(
    settings: SettingsFile = None,
    folder: Folder = None,
    language: Language = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a trouble.")] = False,
) -> None:
    """Are all texts there, and their sounds of the right kind, length and level? Exit code 1 where not."""
    from callguard import promptfile

    count = 0
    for prompts in _sets(settings, folder, language):
        for trouble in promptfile.check(prompts):
            count += 1
            line = {"language": trouble.language, "name": trouble.name, "code": trouble.code, "text": trouble.text}
            plain = f"{trouble.language}/{trouble.name}: {trouble.text}"
            typer.echo(json.dumps(line, ensure_ascii=False) if as_json else plain)
    typer.echo("all announcements are fine" if not count else "try: callguard prompts build", err=True)
    raise typer.Exit(1 if count else 0)


@app.command()
def install(
    settings: SettingsFile = None,
    folder: Folder = None,
    language: Language = "",
    to: Annotated[Path | None, typer.Option("--to", help="Asterisk's sounds; default prompts.sounds_dir.")] = None,
) -> None:
    """Copy the sounds to where Asterisk plays them from."""
    from callguard import promptfile
    from callguard.config import load_settings

    target = to or load_settings(settings).prompts.sounds_dir
    for prompts in _sets(settings, folder, language):
        for file in promptfile.install(prompts, target):
            typer.echo(str(file))
        typer.echo(f"{target / prompts.language / 'callguard'} is complete", err=True)


def _sets(settings: Path | None, folder: Path | None, language: str) -> Iterator[PromptSet]:
    from callguard import promptfile
    from callguard.config import load_settings

    root = folder or load_settings(settings).prompts.dir
    for one in [language] if language else promptfile.languages(root):
        yield promptfile.load_prompts(root, one)
