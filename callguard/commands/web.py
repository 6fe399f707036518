"""``callguard web``: the desk, the live board and the API, without the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from callguard.config import Settings
    from callguard.model.policy import Policy

app = typer.Typer(add_completion=False)


@app.command()
def web(settings: Annotated[Path | None, typer.Option("--settings", help="Settings file.")] = None) -> None:
    """Serve until told to stop. Live calls need the daemon's bus."""
    from callguard.config import load_settings
    from callguard.observe.logs import set_up

    read = load_settings(settings)
    set_up(read.log.level, format=read.log.format, personal=read.log.personal)
    asyncio.run(_run(read))


async def _run(settings: Settings) -> None:
    from callguard.bus.link import Bus
    from callguard.store.opening import open_store
    from callguard.web.serve import make_app, serve

    store = open_store(
        settings.store.url,
        segments=settings.store.segments,
        key_file=settings.store.key_file,
        archive=settings.store.archive,
    )
    bus = Bus(settings.bus.url or f"unix://{settings.bus.socket_dir / 'valkey.sock'}")
    desk = make_app(settings, store, bus, policy_of=_Policies(settings).of)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    serving = asyncio.create_task(serve(desk, settings.web.host, settings.web.port))
    print(f"the desk: {settings.web.address}", file=sys.stderr)  # noqa: T201 - talk of a command
    try:
        await asyncio.wait({serving, asyncio.create_task(stopping.wait())}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        await bus.close()
        store.close()


class _Policies:
    """Policies by queue, each read once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._read: dict[str, Policy] = {}

    def of(self, queue: str) -> Policy | None:
        """The policy of this queue. Raises SettingsError where its file is wrong."""
        from callguard.policyfile import load_policy

        if queue not in self._read:
            self._read[queue] = load_policy(self._settings.policy.for_queue(queue), queue=queue)
        return self._read[queue]
