"""Blocking work beside the event loop, in order: one thread for the record, one for sound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

Result = TypeVar("Result")


class Writer:
    """One thread: what is asked first is done first. Errors reach whoever asked."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def do(self, work: Callable[..., Result], *args: Any, **named: Any) -> Result:
        """Run it in the thread and wait. A cancelled wait does not stop what has begun."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(work, *args, **named))

    def close(self) -> None:
        """Finish what was asked, then end the thread."""
        self._thread.shutdown(wait=True)
