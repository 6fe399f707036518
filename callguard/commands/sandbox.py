"""``python -m callguard.commands.sandbox``: measurements that need a real Asterisk."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from callguard.sandbox.guarding import Guarding
    from callguard.sandbox.world import Asterisk, Handset, World

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def _root() -> None:
    """Measurements on the private Asterisk."""


@app.command()
def keys(
    presses: Annotated[int, typer.Option(min=2, help="How many flags are pressed (and taken back).")] = 15,
) -> None:
    """Key press to stored flag, and to the tone, on a real call without hearing. Prints one JSON line."""
    typer.echo(json.dumps(asyncio.run(_keys(presses))))


def measure_keys(add: Callable[..., None], *, presses: int, say: Callable[[str], None]) -> None:
    """The same for ``callguard bench keys``."""
    found = asyncio.run(_keys(presses))
    for what in ("key_to_flag_ms", "key_to_tone_ms"):
        for spread, value in found[what].items():
            add(f"{what.removesuffix('_ms').replace('_', ' ')}, {spread}", value, "ms")
    say(f"measured on {found['on']}")


async def _keys(presses: int) -> dict[str, Any]:
    from callguard.asr.models import ensure_models
    from callguard.sandbox.guarding import guarding, settings_text
    from callguard.sandbox.house import house, sandbox_dir
    from callguard.sandbox.world import world

    here = await asyncio.to_thread(house, lambda text: typer.echo(text, err=True))
    models = sandbox_dir() / "models"
    await asyncio.to_thread(ensure_models, ("tiny.en",), model_dir=models)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        async with world(here) as there:
            policy = _policy(home)
            text = settings_text(there, home=home, bus=home / "bus", policy=policy, models=models, hearing=False)
            settings = home / "callguard.toml"
            settings.write_text(text, encoding="utf-8")
            async with guarding(there, settings, hearing=False) as daemon:
                return await _measure(there, daemon, presses)


def _policy(home: Path) -> Path:
    """The shipped base with a rule that nothing said here matches."""
    from callguard.shipped import shipped

    (home / "rules.toml").write_text(
        'language = "en"\n[[rule]]\nid = "en.none"\ncategory = "threat"\nseverity = 3\nany = ["kill you"]\n'
    )
    file = home / "policy.toml"
    base = shipped("policies/base.toml")
    file.write_text(
        f'extends = "{base}"\nname = "bench"\nlanguages = ["en"]\n[rules]\nfiles = ["rules.toml"]\n', encoding="utf-8"
    )
    return file


async def _measure(there: World, daemon: Guarding, presses: int) -> dict[str, Any]:
    since = len(there.outside.events)
    caller = await there.ring()
    agent = await there.phone("agent1", after=since)
    await daemon.until(lambda e: bool(getattr(e, "agent_channel", "")), timeout_s=15)
    stored: list[float] = []
    toned: list[float] = []
    for _ in range(presses):
        flag, tone_ms = await _press(there.pbx, daemon, agent, "*7")
        stored.append((flag.stored_at - flag.pressed_at).total_seconds() * 1000)
        toned.append(tone_ms)
        await _press(there.pbx, daemon, agent, "*4")
    await caller.hang_up()
    await agent.gone()
    version = there.pbx.console(there.house, "core show version").split(" built")[0].strip()
    return {
        "measured": "keys",
        "presses": presses,
        "key_to_flag_ms": _spread(stored),
        "key_to_tone_ms": _spread(toned),
        "key_to_flag": "from the key script's stamp to the flag durable in SQLite",
        "key_to_tone": "from the last digit's end at the PBX to the start of the tone's playback",
        "on": f"{version}; Python {platform.python_version()}; {os.cpu_count()} cores; {platform.machine()}",
    }


async def _press(pbx: Asterisk, daemon: Guarding, agent: Handset, digits: str) -> tuple[Any, float]:
    from callguard.sandbox.world import CAME

    told, seen = len(daemon.board), len(pbx.events)
    await agent.press(digits)
    taken = await daemon.until(lambda e: getattr(e, "kind", "") == "key", timeout_s=10, after=told)
    tone = await pbx.until(
        lambda e: e.get("Event") == "Newexten" and "1?Playback(callguard/tone-" in e.get("AppData", ""),
        timeout_s=10,
        after=seen,
    )
    ended = [e for e in pbx.events[seen:] if e.get("Event") == "DTMFEnd" and e.get("Direction") == "Received"]
    before = [float(e[CAME]) for e in ended if float(e[CAME]) <= float(tone[CAME])]
    await asyncio.sleep(0.8)  # the tone is over
    return taken, (float(tone[CAME]) - max(before)) * 1000


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 1),
        "p95": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 1),
        "worst": round(ordered[-1], 1),
    }


if __name__ == "__main__":
    app()
