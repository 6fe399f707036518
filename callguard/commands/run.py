"""``callguard run``: the daemon."""

from __future__ import annotations

import logging
import sys
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

    read = load_settings(settings)
    _log(read.log.level)
    Run(settings=read).go()


def _log(level: str) -> None:
    try:
        from callguard.observe.logs import set_up
    except ImportError:
        logging.basicConfig(
            level=level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
    else:
        set_up(level=level)
