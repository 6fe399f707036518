"""``callguard run``: the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def run(
    settings: Annotated[Path | None, typer.Option("--settings", help="Settings file.")] = None,
) -> None:
    """Guard calls until SIGTERM. SIGHUP reads the policies anew."""
    from callguard.app import Run
    from callguard.config import load_settings
    from callguard.observe.logs import set_up

    read = load_settings(settings)
    set_up(read.log.level, format=read.log.format, personal=read.log.personal)
    Run(settings=read).go()
