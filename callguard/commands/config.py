"""``callguard config``: what is set, and where each value came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Show and check settings.")

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="Settings file; default /etc/callguard/callguard.toml.")
]


@app.command()
def show(
    settings: SettingsFile = None,
    origin: Annotated[bool, typer.Option("--origin", help="Also say where each value came from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a setting.")] = False,
) -> None:
    """List every setting. Secrets are masked."""
    from callguard.config import load_settings, shown

    read = load_settings(settings)
    for key, value in shown(read).items():
        if as_json:
            line: dict[str, object] = {"key": key, "value": value}
            if origin:
                line["origin"] = str(read.origin(key))
            typer.echo(json.dumps(line, ensure_ascii=False))
        else:
            text = f"{key} = {json.dumps(value, ensure_ascii=False)}"
            typer.echo(f"{text:<60} # {read.origin(key)}" if origin else text)


@app.command()
def check(settings: SettingsFile = None) -> None:
    """Read all settings as the daemon would; exit code 2 and the place where something is wrong."""
    from callguard.config import DEFAULT_FILE, load_settings

    read = load_settings(settings)
    names = ", ".join(str(file) for file in read.files) or f"no file ({DEFAULT_FILE} does not exist); defaults only"
    typer.echo(f"settings are fine: {names}", err=True)
