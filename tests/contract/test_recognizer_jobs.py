"""Hearing jobs through a real Valkey: each heard once, callers first, late and superseded ones dropped and counted."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from waiting import until

from callguard.asr.scripted import ScriptedRecognizer
from callguard.bus.jobs import LAST_JOBS, HearingLine, JobSource, hearing_url, nothing_heard
from callguard.bus.link import Bus
from callguard.bus.valkey import EmbeddedValkey
from callguard.commands.worker import serve
from callguard.model.errors import BusFault
from callguard.model.ids import CallId, LegId, UtteranceId
from callguard.model.words import Dropped, Hypothesis
from callguard.ports import HearingJob

SCRIPT = [(500, "good"), (900, "morning")]


@pytest.fixture
async def url() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="cg-") as folder:
        valkey = EmbeddedValkey(Path(folder) / "d", socket_dir=Path(folder), durable=False)
        await valkey.start()
        yield valkey.url
        await valkey.stop()
        written = [path for path in Path(folder).rglob("*") if path.suffix in (".aof", ".rdb")]  # noqa: ASYNC240
        assert not written, "sound to be heard was written to disk"


def job(
    number: int, *, revision: int = 1, priority: int = 0, life_ms: int = 5000, pcm: bytes = b"\1\0" * 8000
) -> HearingJob:
    return HearingJob(
        call=CallId("c"),
        leg=LegId("l"),
        utterance=UtteranceId(f"l/{number}"),
        revision=revision,
        pcm=b"\1\0" * 8000,
        rate_hz=8000,
        start_ms=0,
        language="en",
        final=True,
        priority=priority,
        deadline_ms=int(time.time() * 1000) + life_ms,
    )


@asynccontextmanager
async def line_on(url: str) -> AsyncIterator[HearingLine]:
    bus = Bus(url)
    line = HearingLine(bus, daemon="test")
    await line.start()
    yield line
    await line.stop()
    await bus.close()


@asynccontextmanager
async def worker_on(url: str, recognizer: ScriptedRecognizer, name: str = "w1") -> AsyncIterator[JobSource]:
    bus, stopping = Bus(url), asyncio.Event()
    source = JobSource(bus, name=name)
    await source.start()
    task = asyncio.create_task(serve(source, recognizer.hear, stopping))
    yield source
    stopping.set()
    await task
    await bus.close()


async def test_a_job_comes_back_with_its_words(url: str) -> None:
    async with worker_on(url, ScriptedRecognizer(lambda _: SCRIPT)), line_on(url) as line:
        got = await line.hear(job(1))
    assert [word.text for word in got.words] == [" good", " morning"]
    assert (got.final, got.language, got.revision) == (True, "en", 1)


async def test_other_readings_come_back_as_they_were(url: str) -> None:
    class Doubtful(ScriptedRecognizer):
        def hear(self, jobs: Sequence[HearingJob]) -> list[Hypothesis]:
            heard = super().hear(jobs)
            return [replace(one, unsure=True, others=(one.words[:1], one.words[1:])) for one in heard]

    async with worker_on(url, Doubtful(lambda _: SCRIPT)), line_on(url) as line:
        got = await line.hear(job(1))
    assert got.others == (got.words[:1], got.words[1:]) and got.unsure


async def test_many_jobs_over_two_workers_are_each_heard_once(url: str) -> None:
    first, second = (
        ScriptedRecognizer(lambda _: SCRIPT, takes_s=0.002),
        ScriptedRecognizer(lambda _: SCRIPT, takes_s=0.002),
    )
    async with worker_on(url, first), worker_on(url, second, "w2"), line_on(url) as line:
        got = await asyncio.gather(*(line.hear(job(n)) for n in range(200)))
    assert [h.utterance for h in got] == [f"l/{n}" for n in range(200)]
    assert len(first.heard) + len(second.heard) == 200
    assert first.heard and second.heard


async def test_nothing_is_left_on_the_server(url: str) -> None:
    async with worker_on(url, ScriptedRecognizer(lambda _: SCRIPT)), line_on(url) as line:
        await asyncio.gather(*(line.hear(job(n, priority=n % 2)) for n in range(50)))
        assert await line._bus.client.xlen(LAST_JOBS.name) == 0


async def test_whole_utterances_go_before_growing_ones(url: str) -> None:
    bus = Bus(url)
    source = JobSource(bus, name="w1", batch=4)
    await source.start()
    async with line_on(url) as line:
        growing = [replace(job(n), final=False) for n in range(6)]
        asked = [asyncio.create_task(line.hear(one)) for one in [*growing, job(7), job(8)]]
        await until(lambda: line.counts["asked"] == 8)
        taken = await source.take()
        assert [one.job.final for one in taken] == [True, True]
        await source.give(taken, [nothing_heard(one.job, Dropped.NO_SPEECH) for one in taken])
        taken = await source.take()
        assert [one.job.final for one in taken] == [False, False], "half a batch, so that whole ones need not wait"
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    await bus.close()


async def test_callers_go_first(url: str) -> None:
    recognizer = ScriptedRecognizer(lambda _: SCRIPT)
    bus = Bus(url)
    source = JobSource(bus, name="w1", batch=3)
    await source.start()
    async with line_on(url) as line:
        asked = [asyncio.create_task(line.hear(job(n, priority=1))) for n in range(3)]
        asked += [asyncio.create_task(line.hear(job(n + 3, priority=0))) for n in range(3)]
        await until(lambda: line.counts["asked"] == 6)
        taken = await source.take()
        assert [one.job.priority for one in taken] == [0, 0, 0]
        await source.give(taken, recognizer.hear([one.job for one in taken]))
        while rest := await source.take():
            await source.give(rest, recognizer.hear([one.job for one in rest]))
        await asyncio.gather(*asked)
    await bus.close()


async def test_other_readings_are_sought_last_one_at_a_time_and_not_claimed_while_they_may_be_under_way(
    url: str,
) -> None:
    bus = Bus(url)
    source, second = JobSource(bus, name="w1"), JobSource(bus, name="w2")
    await source.start()
    async with line_on(url) as line:
        readings = [replace(job(n), readings=1, priority=2) for n in range(2)]
        asked = [asyncio.create_task(line.hear(one)) for one in [*readings, job(7), job(8, priority=1)]]
        await until(lambda: line.counts["asked"] == 4)
        taken = await source.take()
        assert [one.job.utterance for one in taken] == ["l/7", "l/8"], "words of both sides go before"
        await source.give(taken, [nothing_heard(one.job, Dropped.NO_SPEECH) for one in taken])
        held = await source.take()
        assert [one.job.readings for one in held] == [1], "alone, so that words wait for one at most"
        await asyncio.sleep(2 * source.usual_ms / 1000 + 0.3)
        other = await second.take(wait_ms=10)
        assert {one.job.utterance for one in (*held, *other)} == {"l/0", "l/1"}
        assert not second.counts["claimed"]
        await source.give([*held, *other], [nothing_heard(one.job, Dropped.NO_SPEECH) for one in (*held, *other)])
        await asyncio.gather(*asked)
    await bus.close()


async def test_late_and_superseded_jobs_are_answered_as_such_and_never_heard(url: str) -> None:
    recognizer = ScriptedRecognizer(lambda _: SCRIPT)
    bus = Bus(url)
    await JobSource(bus, name="early").start()
    async with line_on(url) as line:
        late = asyncio.create_task(line.hear(job(1, life_ms=-10)))
        old = asyncio.create_task(line.hear(job(2, revision=1)))
        await until(lambda: line.counts["asked"] == 2)
        new = asyncio.create_task(line.hear(job(2, revision=2)))
        await until(lambda: line.counts["asked"] == 3)
        async with worker_on(url, recognizer) as source:
            answers: list[Hypothesis] = await asyncio.gather(late, old, new)
            assert [a.dropped for a in answers] == [Dropped.LATE, Dropped.SUPERSEDED, None]
            assert (source.counts["late"], source.counts["superseded"]) == (1, 1)
    assert len(recognizer.heard) == 1
    await bus.close()


async def test_what_a_dead_worker_held_is_heard_by_another_once(url: str) -> None:
    recognizer = ScriptedRecognizer(lambda _: SCRIPT)
    bus = Bus(url)
    dead = JobSource(bus, name="dead")
    await dead.start()
    async with line_on(url) as line:
        asked = asyncio.create_task(line.hear(job(1)))
        await until(lambda: line.counts["asked"] == 1)
        [held] = await dead.take()
        began = time.monotonic()
        async with worker_on(url, recognizer) as source:
            got = await asked
            took_s = time.monotonic() - began
            assert source.counts["claimed"] == 1
            assert [word.text for word in got.words] == [" good", " morning"]
            assert took_s < 3 * dead.usual_ms / 1000
            await dead.give([held], recognizer.hear([held.job]))
            await until(lambda: line.counts["too-late"] == 1)
    assert line.counts["answered"] == 1
    await bus.close()


async def test_a_job_that_kills_every_worker_is_given_up(url: str) -> None:
    bus = Bus(url)
    async with line_on(url) as line:
        sources = [JobSource(bus, name=f"dies{n}") for n in range(6)]
        await sources[0].start()
        asked = asyncio.create_task(line.hear(job(1, life_ms=60_000)))
        await until(lambda: line.counts["asked"] == 1)
        for source in sources:
            source.usual_ms = 1
            await source.take(wait_ms=50)
            await asyncio.sleep(0.55)
            if asked.done():
                break
        assert (await asked).dropped is Dropped.FAULT
    await bus.close()


async def test_without_a_worker_the_caller_is_told_at_once(url: str) -> None:
    async with line_on(url) as line:
        with pytest.raises(BusFault) as caught:
            await line.hear(job(1))
    assert caught.value.code == "no-worker"


async def test_a_recognizer_that_fails_answers_fault(url: str) -> None:
    broken = iter([True, False])
    recognizer = ScriptedRecognizer(lambda _: SCRIPT, fails=lambda: next(broken))
    async with worker_on(url, recognizer), line_on(url) as line:
        assert (await line.hear(job(1))).dropped is Dropped.FAULT
        assert (await line.hear(job(2))).dropped is None


async def test_rubbish_on_the_stream_is_thrown_away(url: str) -> None:
    async with worker_on(url, ScriptedRecognizer(lambda _: SCRIPT)) as source, line_on(url) as line:
        await line._bus.client.xadd(LAST_JOBS.name, {"pcm": b"\xff\xfe", "revision": "x"})
        assert (await line.hear(job(1))).dropped is None
        assert source.counts["unreadable"] == 1


def test_sound_passes_through_a_server_of_its_own() -> None:
    assert hearing_url("", Path("/run/callguard")) == "unix:///run/callguard/hearing/valkey.sock"
    assert hearing_url("redis://bus", Path("/run/callguard")) == "redis://bus"
