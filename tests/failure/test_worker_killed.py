"""A recognizer worker dies in mid-hearing (kill -9), or is told to stop: nothing is lost, nothing is heard twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callguard.bus.jobs import LAST_JOBS, HearingLine
from callguard.bus.link import Bus
from callguard.bus.valkey import EmbeddedValkey
from callguard.model.ids import CallId, LegId, UtteranceId
from callguard.ports import HearingJob

WORKER = """
import asyncio, sys
from callguard.asr.scripted import ScriptedRecognizer
from callguard.commands.worker import _run
recognizer = ScriptedRecognizer(lambda job: [(400, "hello")], takes_s=float(sys.argv[2]))
asyncio.run(_run(sys.argv[1], recognizer.hear, batch=4))
"""


@pytest.fixture
async def url() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="cg-") as folder:
        valkey = EmbeddedValkey(Path(folder) / "d", socket_dir=Path(folder), durable=False)
        await valkey.start()
        yield valkey.url
        await valkey.stop()


async def start(url: str, takes_s: float) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, url, str(takes_s))


def job(number: int) -> HearingJob:
    return HearingJob(
        call=CallId("c"),
        leg=LegId("l"),
        utterance=UtteranceId(f"l/{number}"),
        revision=1,
        pcm=bytes(16_000),
        rate_hz=8000,
        start_ms=0,
        language="en",
        final=True,
        priority=0,
        deadline_ms=int(time.time() * 1000) + 20_000,
    )


async def up(line: HearingLine, workers: int) -> None:
    async with asyncio.timeout(20):
        while line.workers < workers:  # noqa: ASYNC110 - another process comes up
            await asyncio.sleep(0.05)


async def test_the_jobs_of_a_killed_worker_are_heard_by_the_other(url: str) -> None:
    bus = Bus(url)
    line = HearingLine(bus, daemon="d")
    await line.start()
    doomed = await start(url, 0.5)
    await up(line, 1)
    assert os.getpriority(os.PRIO_PROCESS, doomed.pid) >= 10, "what carries the call goes first"
    asked = [asyncio.create_task(line.hear(job(n))) for n in range(4)]
    async with asyncio.timeout(10):
        while (await bus.client.xpending(LAST_JOBS.name, "workers"))["pending"] == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    doomed.kill()
    other = await start(url, 0.01)
    answers = await asyncio.wait_for(asyncio.gather(*asked), 15)
    assert [[w.text for w in answer.words] for answer in answers] == [[" hello"]] * 4
    assert line.counts["answered"] == 4
    other.send_signal(signal.SIGTERM)
    assert await other.wait() == 0
    await doomed.wait()
    await line.stop()
    await bus.close()


async def test_told_to_stop_it_finishes_what_it_holds(url: str) -> None:
    bus = Bus(url)
    line = HearingLine(bus, daemon="d")
    await line.start()
    worker = await start(url, 0.3)
    await up(line, 1)
    asked = asyncio.create_task(line.hear(job(1)))
    async with asyncio.timeout(10):
        while (await bus.client.xpending(LAST_JOBS.name, "workers"))["pending"] == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    worker.send_signal(signal.SIGTERM)
    assert [w.text for w in (await asyncio.wait_for(asked, 10)).words] == [" hello"]
    assert await worker.wait() == 0
    async with asyncio.timeout(5):
        while line.workers:  # noqa: ASYNC110 - counted once a second
            await asyncio.sleep(0.1)
    await line.stop()
    await bus.close()
