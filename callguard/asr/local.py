"""Hearing in this process: one thread beside the event loop, no bus. For replaying files and for trying out."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from callguard.model.words import Hypothesis
from callguard.ports import HearingJob, Recognizer


class LocalLine:
    """A ``session.listening.JobLine`` over one recognizer, one job at a time. Close it when done."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hearing")

    async def hear(self, job: HearingJob) -> Hypothesis:
        """Raises RecognizerFault when the recognizer fails."""
        loop = asyncio.get_running_loop()
        [hypothesis] = await loop.run_in_executor(self._thread, self._recognizer.hear, [job])
        return hypothesis

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)
