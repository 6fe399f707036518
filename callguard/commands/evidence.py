"""``callguard evidence``: verify bundles and the audit, and the keys behind them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from callguard.commands.case import AsJson, SettingsFile, Who, _me, opened

app = typer.Typer(no_args_is_help=True, help="Verify exported bundles and the audit; keys.")


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="An exported bundle.")],
    key: Annotated[Path, typer.Option("--key", help="Public key of whoever exported it.")],
    as_json: AsJson = False,
) -> None:
    """Say whether every byte is as it was signed; else name the first thing that was changed. Exit code 0 or 1."""
    from callguard.model.errors import SettingsError
    from callguard.store import proof

    try:
        public = proof.read_public_key(key.read_text(encoding="ascii"))
        found = proof.verify(bundle.read_bytes(), public)
    except OSError as error:
        where = str(error.filename)
        raise SettingsError(f"cannot be read: {error.strerror}", where=where, code="file-unreadable") from None
    except ValueError:
        raise SettingsError(
            "not an Ed25519 public key", where=str(key), code="key-file-wrong", hint="callguard evidence key"
        ) from None
    if as_json:
        facts = {"whole": found.whole, "case": found.case, "broken": found.broken, "why": found.why}
        typer.echo(json.dumps({**facts, "parts": found.parts}, ensure_ascii=False))
    elif found.whole:
        typer.echo(f"whole: case {found.case}, {found.parts} parts, every byte as it was signed")
    else:
        typer.echo(f"NOT WHOLE: {found.broken} {found.why}")
    raise typer.Exit(0 if found.whole else 1)


@app.command()
def key(settings: SettingsFile = None) -> None:
    """Print the public key that verifies our bundles. Hand it on by another way than the bundles."""
    from callguard.store.signing import public_pem

    with opened(settings) as store:
        typer.echo(public_pem(store.keys), nl=False)


@app.command()
def audit(settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """Check the audit's chain from its first line. Exit code 1 where a line was changed or is missing."""
    with opened(settings) as store:
        broken = store.audit_break()
        count = len(store.audit_lines())
    if as_json:
        typer.echo(json.dumps({"lines": count, "first_break": broken}))
    else:
        typer.echo(f"{count} lines, the chain holds" if broken is None else f"line {broken} was changed or is missing")
    raise typer.Exit(0 if broken is None else 1)


@app.command("new-key")
def new_key() -> None:
    """Print a fresh line for the key file that seals sound at rest. Put it on top, then run reseal."""
    from callguard.store.sealing import new_key_line

    typer.echo(new_key_line(), nl=False)


@app.command()
def reseal(settings: SettingsFile = None, as_json: AsJson = False, who: Who = "") -> None:
    """Seal all sealed sound under the key file's first key."""
    with opened(settings) as store:
        count = store.reseal(who=who or _me())
    typer.echo(json.dumps({"files": count}) if as_json else f"{count} files sealed anew")
