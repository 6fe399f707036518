"""The daemon beside a private world: its settings, its process, and what it tells the board."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from callguard.bus.link import Bus
from callguard.bus.messages import HealthTold, read_event
from callguard.bus.topics import BOARD
from callguard.model.errors import PeerFault
from callguard.sandbox.world import World

READY_S = 60.0


def settings_text(
    world: World,
    *,
    home: Path,
    bus: Path,
    policy: Path,
    models: Path,
    hearing: bool = True,
    secret: str = "",
    more: str = "",
) -> str:
    """Settings for a daemon that guards this world.

    home: where cases and sound are kept, also when the world is gone. bus: folder of what Valkey keeps.
    """
    rows: dict[str, dict[str, object]] = {
        "asterisk": {
            "port": world.pbx.ports.ami,
            "username": "callguard",
            "secret": secret or world.ami_secret,
        },
        "taps": {"port": 0},
        "bus": {"socket_dir": str(world.bus_dir), "data_dir": str(bus)},
        "store": {"url": f"sqlite:///{home}/callguard.db", "segments": str(home / "segments"), "min_free_mb": 0},
        "speech": {
            "enabled": hearing,
            "model": "base",
            "english_model": "base",
            "model_dir": str(models),
            "languages": [world.language],
        },
        "policy": {"file": str(policy)},
        "keys": {"spool_dir": str(world.spool)},
        "prompts": {"sounds_dir": str(world.sounds)},
        "web": {"enabled": False},
        "metrics": {"enabled": False},
    }
    lines = ["# Written for a private world."]
    for section, table in rows.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n" + more


@dataclass(slots=True)
class Guarding:
    """A running daemon. board: all it told, in order."""

    settings: Path
    bus: Bus
    log: Path
    process: asyncio.subprocess.Process
    board: list[BaseModel] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, wanted: Callable[[BaseModel], bool], *, timeout_s: float, after: int = 0) -> BaseModel:
        """The first such event since ``after`` (a length of ``board``). Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self.news:
            while True:
                for event in self.board[after:]:
                    if wanted(event):
                        return event
                after = len(self.board)
                await self.news.wait()

    async def follow(self, on_event: Callable[[BaseModel], None]) -> None:
        """Take in what the board is told, until cancelled."""
        async for _, fields in self.bus.tail(BOARD, after="0"):
            event = read_event(fields["json"])
            async with self.news:
                self.board.append(event)
                self.news.notify_all()
            on_event(event)

    async def kill(self) -> None:
        """As ``kill -9`` does."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """End it cleanly."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 20)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()


def _well(event: BaseModel, *, hearing: bool) -> bool:
    if not isinstance(event, HealthTold):
        return False
    parts = event.parts
    return parts.get("asterisk", parts.get("pbx", "ok")) == "ok" and (not hearing or event.hearing == "listening")


@contextlib.asynccontextmanager
async def guarding(
    world: World,
    settings: Path,
    *,
    hearing: bool = True,
    wait: bool = True,
    on_event: Callable[[BaseModel], None] = lambda event: None,
) -> AsyncIterator[Guarding]:
    """``callguard run`` beside this world while it is needed; returns once it listens (unless not ``wait``)."""
    log = settings.with_suffix(".log")
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            "setpriv",
            "--pdeathsig",
            "TERM",
            str(Path(sys.executable).parent / "callguard"),
            "run",
            "--settings",
            str(settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    one = Guarding(settings=settings, bus=Bus(f"unix://{world.bus_dir}/valkey.sock"), log=log, process=process)
    follower = asyncio.create_task(one.follow(on_event), name="board")
    try:
        if wait:
            await _ready(one, hearing)
        yield one
    finally:
        await one.stop()
        while not follower.done():  # a cancellation that meets the client in mid-command is not sure to arrive
            follower.cancel()
            await asyncio.wait({follower}, timeout=0.5)
        await one.bus.close()


async def _ready(one: Guarding, hearing: bool) -> None:
    began = asyncio.create_task(one.until(lambda e: _well(e, hearing=hearing), timeout_s=READY_S))
    ended = asyncio.create_task(one.process.wait())
    done, left = await asyncio.wait({began, ended}, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    if ended in done or began.exception() is not None:
        raise PeerFault("callguard run did not come up", code="sandbox-daemon-down", hint=f"read {one.log}")
