"""``callguard``: data on stdout, talk on stderr, exit code 0 for yes, 1 for no, 2 for bad input."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from callguard.model.errors import CallguardError, SettingsError

ROOMS: dict[str, tuple[str, str]] = {
    "run": ("callguard.commands.run", "Guard calls: the daemon."),
    "worker": ("callguard.commands.worker", "Hear for daemons anywhere: a recognizer worker."),
    "web": ("callguard.commands.web", "Serve the desk, the live board and the API."),
    "replay": ("callguard.commands.replay", "Run the whole pipeline over sound files."),
    "demo": ("callguard.commands.demo", "Watch a real call being guarded on a private Asterisk."),
    "doctor": ("callguard.commands.doctor", "Check this installation; say what to paste where."),
    "policy": ("callguard.commands.policy", "Check, explain, test and compare policy files."),
    "case": ("callguard.commands.case", "List, show, export, hold, release and purge cases."),
    "evidence": ("callguard.commands.evidence", "Verify exported bundles."),
    "user": ("callguard.commands.user", "Accounts of the desk."),
    "prompts": ("callguard.commands.prompts", "Build and install announcements."),
    "config": ("callguard.commands.config", "Show and check settings."),
    "init": ("callguard.commands.init", "Write the dialplan files of this policy; show a diff first."),
    "bench": ("callguard.commands.bench", "Measure: recognition, calls, taps, keys."),
}
"""Command -> (module that holds ``app``, one line of help). Modules are imported when their command is used."""


class LazyGroup(TyperGroup):
    """Imports a command's module only when that command runs."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(ROOMS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        room = ROOMS.get(cmd_name)
        if room is None:
            return None
        command: Any = typer.main.get_command(importlib.import_module(room[0]).app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in ROOMS.items()])


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def _root() -> None:
    """A call guard for call centres that run Asterisk."""


def main() -> None:
    """Entry point. Errors of ours become one line and a hint, never a traceback."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's own threads spin beside those that work
    try:
        app()
    except SettingsError as error:
        _say(error)
        sys.exit(2)
    except CallguardError as error:
        _say(error)
        sys.exit(1)


def _say(error: CallguardError) -> None:
    print(f"callguard: {error}", file=sys.stderr)  # noqa: T201 - the command line's voice
    if error.hint:
        print(f"  try: {error.hint}", file=sys.stderr)  # noqa: T201
