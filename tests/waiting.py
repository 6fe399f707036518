"""Waiting for what another task or process brings about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], bool], *, within_s: float = 10) -> None:
    """Returns once it is true. Raises TimeoutError where that takes longer."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
