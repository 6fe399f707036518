"""What the tests with real calls share beside the fixtures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from callguard.sandbox.guarding import Guarding
from callguard.sandbox.world import Handset, World
from callguard.shipped import shipped

PROMPTS = shipped("prompts") / "en"

Daemon = Callable[..., AbstractAsyncContextManager[Guarding]]


def of(event: object, name: str) -> Any:
    """A field of a board event, None where it has none."""
    return getattr(event, name, None)


async def talking(there: World, one: Guarding, extension: str = "600") -> tuple[Handset, Handset, str]:
    """Caller and agent talk, and the daemon knows: both handsets and the call's id."""
    since, told = len(there.outside.events), len(one.board)
    caller = await there.ring(extension)
    agent = await there.phone("agent1", after=since)
    row = await one.until(
        lambda e: of(e, "kind") == "call" and of(e, "agent_channel") and not of(e, "ended"), timeout_s=15, after=told
    )
    return caller, agent, str(of(row, "call"))
