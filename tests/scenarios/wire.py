"""The wire between a daemon and the manager port, in a test's hands: shut it, stall it, swallow an action."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from stage import Daemons, Playhouse

from callguard.sandbox.world import World


@dataclass(slots=True)
class Wire:
    """Between the daemon and the manager port. swallow: an action with these words never arrives."""

    port: int
    swallow: bytes = b""
    shut: bool = False
    dead: set[asyncio.StreamWriter] = field(default_factory=set)
    lines: list[tuple[asyncio.Task[None], asyncio.StreamWriter, asyncio.StreamWriter]] = field(default_factory=list)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.shut:
            writer.close()
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.port)
        for source, goal in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(self._pump(source, goal))
            self.lines.append((task, writer, there_writer))

    async def _pump(self, source: asyncio.StreamReader, goal: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65536):
                if goal in self.dead:
                    continue
                if self.swallow and self.swallow in chunk:
                    self.swallow = b""
                    continue
                goal.write(chunk)
                await goal.drain()
        goal.close()

    def stall(self) -> None:
        """Both ends think they are connected, and nothing comes through any more."""
        self.dead |= {writer for _, *both in self.lines for writer in both}

    async def close(self) -> None:
        """Put the wire away."""
        for task, _, _ in self.lines:
            task.cancel()
        await asyncio.gather(*(task for task, _, _ in self.lines), return_exceptions=True)
        for writer in {one for _, *both in self.lines for one in both}:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def wired(
    there: World, daemons: Daemons, text: str = "", *, home: Path | None = None
) -> AsyncIterator[tuple[Wire, Playhouse]]:
    """A daemon whose manager link goes through our hands; text: changes to the base policy."""
    wire = Wire(port=there.pbx.ports.ami)
    server = await asyncio.start_server(wire.connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def edit(settings: str) -> str:
        return settings.replace(f"port = {there.pbx.ports.ami}\n", f"port = {port}\nping_s = 1\ntimeout_s = 2\n")

    try:
        async with daemons(there, text, edit=edit, home=home) as one:
            yield wire, Playhouse(there=there, one=one)
    finally:
        server.close()
        await wire.close()
        await server.wait_closed()
