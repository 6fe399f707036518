"""One private world for all scenarios, and daemons beside it with a policy of the scenario's own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import soundfile

from callguard.sandbox.guarding import Guarding, guarding, settings_text
from callguard.sandbox.house import house, sandbox_dir
from callguard.sandbox.world import World, world
from callguard.shipped import shipped

sys.path.insert(0, str(Path(__file__).parent))
from stage import Daemons, Playhouse


def policy(folder: Path, text: str, rules: str) -> Path:
    """A policy of the shipped base with changes; no rest, no notice and no rule unless the changes say so."""
    (folder / "rules.toml").write_text(rules or 'language = "en"\n')
    file = folder / "policy.toml"
    head = f'extends = "{shipped("policies/base.toml")}"\nname = "test"\n'
    if "languages" not in text.partition("[")[0]:
        head += 'languages = ["en"]\n'
    tables = "" if "[rest]" in text else "\n[rest]\nmin_s = 0\nmax_s = 0\nafter_flag = false\n"
    tables += "" if "[keeping]" in text else "\n[keeping]\nnotice = false\n"
    file.write_text(head + text + tables + '\n[rules]\nfiles = ["rules.toml"]\n')
    return file


PBX = """
[telephones](+)
exten => 799,1,PickupChan(PJSIP/agent1,p)
 same => n,Hangup()

[members](+)
exten => 102,1,Dial(PJSIP/agent2,20,tb(callguard-agent^s^1(PJSIP/agent2)))

[callguard-transfer](+)
exten => 900,1,Dial(PJSIP/sup1,20,tb(callguard-agent^s^1(PJSIP/sup1)))
 same => n,Hangup()
"""
"""What the scenarios need of the PBX beside the sandbox's own: group pickup, and a supervisor who takes over."""

OUTSIDE = """
[moved]
exten => s,1,Transfer(PJSIP/sip:102@127.0.0.1:@PORT@)

[refusing]
exten => s,1,Busy(1)
"""
"""What a telephone of the outside can do beside answering: send the call elsewhere (302), refuse it (486)."""

SILENCE = ("pbx-transfer", "beep", "beeperr", "pbx-invalid")
"""Asterisk's own sounds around a transfer, here without a sound; without the files it would not transfer at all."""


async def furnish(one: World) -> None:
    """Add what the scenarios need to a running world."""
    for name in SILENCE:
        soundfile.write(one.sounds / f"{name}.wav", np.zeros(800, dtype="int16"), 8000)
    plan = one.pbx.folder / "etc" / "extensions.conf"
    plan.write_text(plan.read_text() + PBX)
    plan = one.outside.folder / "etc" / "extensions.conf"
    plan.write_text(plan.read_text() + OUTSIDE.replace("@PORT@", str(one.pbx.ports.sip)))
    for asterisk in (one.pbx, one.outside):
        await asyncio.to_thread(asterisk.console, one.house, "dialplan reload")
    await one.pbx.ask(Action="Setvar", Variable="CALLGUARD_PHONE_101", Value="agent1")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def there() -> AsyncIterator[World]:
    async with world(house(print)) as one:
        await furnish(one)
        yield one


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def curtain(there: World) -> AsyncIterator[None]:
    """A scene that went wrong leaves nobody on the line for the next one."""
    yield
    left = await asyncio.to_thread(there.outside.console, there.house, "core show channels count")
    if not left.startswith("0 active"):
        await asyncio.to_thread(there.outside.console, there.house, "channel request hangup all")


@dataclass(slots=True)
class Resident:
    """The daemon that a file's scenarios share. Two must not guard one world: it moves out before another starts."""

    file: str = ""
    play: Playhouse | None = None
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def moves_in(self, daemon: contextlib.AbstractAsyncContextManager[Guarding], *, file: str) -> Guarding:
        one = await self._stack.enter_async_context(daemon)
        self.file = file
        return one

    async def moves_out(self) -> None:
        self.file, self.play = "", None
        await self._stack.aclose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def resident(there: World) -> AsyncIterator[Resident]:
    one = Resident()
    yield one
    await one.moves_out()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def daemons(tmp_path_factory: pytest.TempPathFactory, resident: Resident) -> Daemons:
    """Starts a daemon beside a world. text: changes to the base policy. edit: changes to the settings file."""

    @contextlib.asynccontextmanager
    async def start(
        there: World,
        text: str = "",
        *,
        rules: str = "",
        hearing: bool = False,
        edit: Callable[[str], str] = lambda settings: settings,
        home: Path | None = None,
    ) -> AsyncIterator[Guarding]:
        await resident.moves_out()
        home = home or tmp_path_factory.mktemp("home")
        settings = home / "callguard.toml"
        written = settings_text(
            there,
            home=home,
            bus=home / "bus",
            policy=policy(home, text, rules),
            models=sandbox_dir() / "models",
            hearing=hearing,
        )
        settings.write_text(edit(written))
        async with guarding(there, settings, hearing=hearing) as one:
            yield one

    return start


@pytest_asyncio.fixture(loop_scope="session")
async def here(request: pytest.FixtureRequest, there: World, daemons: Daemons, resident: Resident) -> Playhouse:
    """The world and one daemon for a file's scenarios, with the file's own POLICY."""
    if resident.file != request.module.__name__:
        one = await resident.moves_in(daemons(there, request.module.POLICY), file=request.module.__name__)
        resident.play = Playhouse(there=there, one=one)
    assert resident.play is not None
    return resident.play
