"""``callguard init``: the files that an installation needs, made from the policy. Nothing of yours is overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def init(
    folder: Annotated[
        Path, typer.Option("--dir", help="Files go to DIR/callguard and DIR/asterisk.", file_okay=False)
    ] = Path("/etc"),
    policy: Annotated[Path | None, typer.Option("--policy", help="Policy file; default the shipped en.toml.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what differs; the old file stays as FILE.old.")
    ] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Write nothing, show what would be written.")] = False,
) -> None:
    """Write settings, dialplan, keys and manager account. Exit code 1 where a file of yours differs and was left."""
    from callguard.commands.installing import Fate, next_steps, place, wanted

    different = 0
    for one in wanted(folder, policy):
        fate, diff = place(one, force=force, dry=dry)
        different += fate is Fate.DIFFERS
        typer.echo(f"{fate.value:<9} {one.file}", err=True)
        if diff:
            typer.echo(diff, nl=False)
    if different:
        typer.echo("these files of yours were left as they are; --force replaces them", err=True)
    for step in next_steps(folder, policy):
        typer.echo(step, err=True)
    raise typer.Exit(1 if different else 0)
