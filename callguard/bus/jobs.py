"""Hearing jobs over Redis Streams: daemons ask, workers on any machine answer.

Four streams, one consumer group: whole utterances of callers go first, then growing ones, then agents; other readings
of unsure words are sought while nobody waits, one job at a time. A job is acknowledged together with its reply, so a
killed worker's jobs stay pending and another claims them; a reply that comes twice meets a question that is gone. Jobs
carry sound: the server they pass through must not write to disk (see ``hearing_url``; an outside server wants
``appendonly no`` and ``save ""``), and each is deleted once answered. Deadlines count on the server's clock, so that
workers need not agree with daemons about the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis.exceptions as redis_errors

from callguard.bus.link import Bus, _fault, _text
from callguard.bus.topics import Topic
from callguard.model.errors import BusFault
from callguard.model.ids import CallId, LegId, UtteranceId
from callguard.model.words import Dropped, Hypothesis, Word
from callguard.ports import HearingJob

LAST_JOBS = Topic(name="callguard:hear:last", carries="callers' whole utterances", keep=600, group="workers")
GROWING_JOBS = Topic(name="callguard:hear:growing", carries="callers' growing utterances", keep=600, group="workers")
AGENT_JOBS = Topic(name="callguard:hear:agent", carries="sound of agents to be heard", keep=300, group="workers")
READING_JOBS = Topic(name="callguard:hear:readings", carries="words to be read otherwise", keep=100, group="workers")
WORD_TOPICS = (LAST_JOBS, GROWING_JOBS, AGENT_JOBS)
JOB_TOPICS = (*WORD_TOPICS, READING_JOBS)
"""First served first."""

REPLY_PREFIX = "callguard:heard:"
"""Stream of one daemon's replies: this prefix and the daemon's name."""

REPLIES_KEPT = 2_000
REPLIES_TTL_S = 3_600
SENDING_AT_ONCE = 16
"""Connections that carry questions at the same time; the client's pool holds a hundred in all."""

NEWEST_PREFIX = "callguard:hear:newest:"
"""Newest revision asked for an utterance: older ones still waiting are superseded."""

NEWEST_TTL_S = 60
WORKERS_KEY = "callguard:workers"
"""Sorted set: worker name by when it was last alive, on the server's clock in seconds."""

ALIVE_S = 6
"""A worker not seen for this long is gone; it shows itself every two seconds, also while it hears."""

ABANDONED_MS = 10_000
"""A job that a worker has had for this long without an answer is abandoned, whatever is usual."""

DELIVERIES = 3
"""A job that was taken this often without an answer is given up: it may be what kills the workers."""

_ERRORS = (redis_errors.RedisError, OSError, TimeoutError)


def hearing_url(url: str, socket_dir: Path) -> str:
    """Where hearing jobs pass: the outside server, or the embedded one that is kept for sound alone.

    The daemon starts the latter as ``EmbeddedValkey(data_dir / "hearing", socket_dir=socket_dir / "hearing",
    durable=False)``, so that no unflagged sound is ever written to a disk.
    """
    return url or f"unix://{socket_dir / 'hearing' / 'valkey.sock'}"


class HearingLine:
    """A daemon's end: a ``session.listening.JobLine``.

    daemon: this daemon's name on the bus, unique among those that share a server.
    counts: asked, answered, and answers to questions that were given up.
    """

    def __init__(self, bus: Bus, *, daemon: str) -> None:
        self._bus = bus
        self._replies = REPLY_PREFIX + daemon
        self._open: dict[tuple[str, int], asyncio.Future[Hypothesis]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._offset = (-1e12, 0.0)
        self._stopping = asyncio.Event()
        self._sending = asyncio.Semaphore(SENDING_AT_ONCE)
        self.workers = 0
        self.counts: Counter[str] = Counter()

    async def start(self) -> None:
        """Begin to read replies. Raises BusFault where the server is away."""
        await self._bus.ping()
        await self._count_workers()
        self._tasks = [
            asyncio.create_task(self._read(), name="hearing-replies"),
            asyncio.create_task(self._watch(), name="hearing-workers"),
        ]

    async def stop(self) -> None:
        """Give up every open question."""
        self._stopping.set()
        if self._tasks:
            _, stuck = await asyncio.wait(self._tasks, timeout=3)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for waiting in self._open.values():
            waiting.cancel()
        self._open.clear()
        with contextlib.suppress(*_ERRORS):
            await self._bus.client.delete(self._replies)

    async def hear(self, job: HearingJob) -> Hypothesis:
        """Ask, and wait for the answer. Raises BusFault where the server is away or no worker lives."""
        if not self.workers:
            await self._count_workers()
            if not self.workers:
                raise BusFault("no recognizer worker is running", code="no-worker", hint="start `callguard worker`")
        key = (str(job.utterance), job.revision)
        waiting: asyncio.Future[Hypothesis] = asyncio.get_running_loop().create_future()
        self._open[key] = waiting
        try:
            await self._send(job)
            self.counts["asked"] += 1
            return await waiting
        finally:
            self._open.pop(key, None)

    async def _send(self, job: HearingJob) -> None:
        topic = _topic(job)
        try:
            async with self._sending:
                now_ms = await self._server_ms()
            async with asyncio.timeout(2), self._sending, self._bus.client.pipeline(transaction=False) as pipe:
                pipe.set(NEWEST_PREFIX + job.utterance, job.revision, ex=NEWEST_TTL_S)
                pipe.xadd(topic.name, _job_fields(job, self._replies, now_ms), maxlen=topic.keep, approximate=True)
                await pipe.execute()
        except _ERRORS as error:
            raise _fault(error) from error

    async def _server_ms(self) -> int:
        """The server's clock less ours is asked for once a minute."""
        loop_ms = asyncio.get_running_loop().time() * 1000
        asked_ms, offset_ms = self._offset
        if loop_ms - asked_ms > 60_000:
            async with asyncio.timeout(2):
                seconds, micros = await self._bus.client.time()
            offset_ms = seconds * 1000 + micros / 1000 - loop_ms
            self._offset = (loop_ms, offset_ms)
        return int(loop_ms + offset_ms)

    async def _read(self) -> None:
        after, wait_s = "0", 0.05
        while not self._stopping.is_set():
            try:
                got = await self._bus.client.xread({self._replies: after}, count=64, block=250)
                wait_s = 0.05
            except _ERRORS as error:
                _heed_cancel(error)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 2.0)
                continue
            for message_id, fields in _entries(got):
                after = message_id
                self._answered(fields)

    def _answered(self, fields: dict[bytes, bytes]) -> None:
        try:
            hypothesis = _hypothesis(json.loads(fields[b"json"]))
        except (KeyError, ValueError, TypeError):
            self.counts["unreadable"] += 1
            return
        waiting = self._open.get((str(hypothesis.utterance), hypothesis.revision))
        if waiting is None or waiting.done():
            self.counts["too-late"] += 1
            return
        self.counts["answered"] += 1
        waiting.set_result(hypothesis)

    async def _watch(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1)
                return
            try:
                await self._count_workers()
            except BusFault as error:
                _heed_cancel(error)

    async def _count_workers(self) -> None:
        try:
            async with asyncio.timeout(2):
                seconds, _ = await self._bus.client.time()
                self.workers = int(await self._bus.client.zcount(WORKERS_KEY, seconds - ALIVE_S, "+inf"))
        except _ERRORS as error:
            self.workers = 0
            raise _fault(error) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One job in a worker's hands, and where it came from."""

    job: HearingJob
    topic: Topic
    message_id: str
    reply_to: str


class JobSource:
    """A worker's end.

    name: this worker's, unique. batch: most jobs taken at once.
    counts: taken, claimed from others, late, superseded, given up, answered.
    """

    def __init__(self, bus: Bus, *, name: str, batch: int = 8) -> None:
        self._bus = bus
        self.name = name
        self._batch = batch
        self._looked_s = 0.0
        self.usual_ms = 400.0
        self.counts: Counter[str] = Counter()

    async def start(self) -> None:
        """Make the group where it is missing. Raises BusFault."""
        for topic in JOB_TOPICS:
            try:
                await self._bus.client.xgroup_create(topic.name, topic.group, id="0", mkstream=True)
            except redis_errors.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise _fault(error) from error
            except _ERRORS as error:
                raise _fault(error) from error
        await self.say_alive()

    async def say_alive(self) -> None:
        """Show that this worker lives. Raises BusFault."""
        try:
            async with asyncio.timeout(2):
                seconds, _ = await self._bus.client.time()
                await self._bus.client.zadd(WORKERS_KEY, {self.name: seconds})
                await self._bus.client.zremrangebyscore(WORKERS_KEY, "-inf", seconds - 600)
        except _ERRORS as error:
            raise _fault(error) from error

    async def stop(self) -> None:
        """Sign off; what this worker took and did not answer goes to the others at once."""
        with contextlib.suppress(*_ERRORS):
            await self._bus.client.zrem(WORKERS_KEY, self.name)

    async def take(self, *, wait_ms: int = 200) -> list[Taken]:
        """Up to ``batch`` jobs worth hearing, callers first; [] when none came in time. Raises BusFault.

        Of growing utterances and of agents no more than half a batch: a caller's last words never wait long for them.
        Other readings are taken alone, and when there is nothing else. Late and superseded jobs are answered here and
        never returned.
        """
        try:
            found = await self._claim()
            for topic in WORD_TOPICS:
                most = self._batch if topic is LAST_JOBS else max(1, self._batch // 2)
                room = most - len(found)
                if room > 0:
                    found += await self._fresh({topic.name: ">"}, count=room, block=None)
            if not found:
                found = await self._fresh({READING_JOBS.name: ">"}, count=1, block=None)
            if not found:
                found = await self._fresh(dict.fromkeys((t.name for t in WORD_TOPICS), ">"), count=1, block=wait_ms)
            return await self._worth_hearing(found)
        except redis_errors.ResponseError as error:
            if "NOGROUP" in str(error):
                await self.start()
                return []
            raise _fault(error) from error
        except _ERRORS as error:
            raise _fault(error) from error

    async def give(self, taken: Sequence[Taken], hypotheses: Sequence[Hypothesis]) -> None:
        """Answer, acknowledge and delete, all or nothing for each job. Raises BusFault."""
        try:
            async with asyncio.timeout(5), self._bus.client.pipeline(transaction=True) as pipe:
                for one, hypothesis in zip(taken, hypotheses, strict=True):
                    answer = json.dumps(_plain(hypothesis), ensure_ascii=False)
                    pipe.xadd(one.reply_to, {"json": answer}, maxlen=REPLIES_KEPT, approximate=True)
                    pipe.expire(one.reply_to, REPLIES_TTL_S)
                    pipe.xack(one.topic.name, one.topic.group, one.message_id)
                    pipe.xdel(one.topic.name, one.message_id)
                await pipe.execute()
        except _ERRORS as error:
            raise _fault(error) from error
        self.counts["answered"] += len(taken)

    def took(self, batch_ms: float) -> None:
        """Tell how long a batch took; others' jobs count as abandoned after twice the usual."""
        self.usual_ms += (batch_ms - self.usual_ms) * 0.1

    async def _fresh(self, streams: dict[str, str], *, count: int, block: int | None) -> list[Taken]:
        got = await self._bus.client.xreadgroup("workers", self.name, streams, count=count, block=block)  # type: ignore[arg-type]
        by_name = {topic.name: topic for topic in JOB_TOPICS}
        pairs = got.items() if isinstance(got, dict) else got or []
        found: list[Taken] = []
        for name, entries in pairs:
            found += await self._read(by_name[_text(name)], _flat(entries))
        return found

    async def _claim(self) -> list[Taken]:
        """Jobs that a worker took and did not answer in twice the usual time."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._looked_s < 0.15:
            return []
        self._looked_s = now_s
        usual_ms = int(min(max(2 * self.usual_ms, 500.0), ABANDONED_MS))
        found: list[Taken] = []
        for topic in JOB_TOPICS:
            idle_ms = ABANDONED_MS if topic is READING_JOBS else usual_ms
            got = await self._bus.client.xautoclaim(
                topic.name, topic.group, self.name, min_idle_time=idle_ms, start_id="0-0", count=self._batch
            )
            claimed = await self._read(topic, _flat(got[1]))
            for one in claimed:
                about = await self._bus.client.xpending_range(
                    topic.name, topic.group, min=one.message_id, max=one.message_id, count=1
                )
                if about and int(about[0]["times_delivered"]) > DELIVERIES:
                    await self._drop(one, Dropped.FAULT)
                else:
                    self.counts["claimed"] += 1
                    found.append(one)
        return found[: self._batch]

    async def _read(self, topic: Topic, entries: list[tuple[str, dict[bytes, bytes]]]) -> list[Taken]:
        found: list[Taken] = []
        for message_id, fields in entries:
            try:
                job, reply_to = _job(fields)
            except (KeyError, ValueError):
                self.counts["unreadable"] += 1
                await self._bus.client.xack(topic.name, topic.group, message_id)
                await self._bus.client.xdel(topic.name, message_id)
                continue
            found.append(Taken(job=job, topic=topic, message_id=message_id, reply_to=reply_to))
        return found

    async def _worth_hearing(self, found: list[Taken]) -> list[Taken]:
        if not found:
            return []
        seconds, micros = await self._bus.client.time()
        now_ms = seconds * 1000 + micros // 1000
        newest = await self._bus.client.mget([NEWEST_PREFIX + one.job.utterance for one in found])
        kept: list[Taken] = []
        for one, revision in zip(found, newest, strict=True):
            if now_ms > one.job.deadline_ms:
                await self._drop(one, Dropped.LATE)
            elif revision is not None and int(revision) > one.job.revision:
                await self._drop(one, Dropped.SUPERSEDED)
            else:
                kept.append(one)
        self.counts["taken"] += len(kept)
        return kept

    async def _drop(self, one: Taken, why: Dropped) -> None:
        self.counts[str(why)] += 1
        await self.give([one], [nothing_heard(one.job, why)])


def _heed_cancel(error: BaseException) -> None:
    """The client turns a cancellation that meets it in mid-read into an error of its own; make it one again."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error


def _topic(job: HearingJob) -> Topic:
    if job.readings:
        return READING_JOBS
    if job.priority:
        return AGENT_JOBS
    return LAST_JOBS if job.final else GROWING_JOBS


def nothing_heard(job: HearingJob, why: Dropped) -> Hypothesis:
    """The answer to a job that was not heard."""
    return Hypothesis(
        utterance=job.utterance,
        revision=job.revision,
        heard_to_ms=job.start_ms + len(job.pcm) * 500 // job.rate_hz,
        final=job.final,
        dropped=why,
    )


def _job_fields(job: HearingJob, reply_to: str, now_ms: int) -> Any:
    left_ms = job.deadline_ms - int(time.time() * 1000)
    return {
        "call": job.call,
        "leg": job.leg,
        "utterance": job.utterance,
        "revision": job.revision,
        "pcm": job.pcm,
        "rate_hz": job.rate_hz,
        "start_ms": job.start_ms,
        "language": job.language,
        "final": int(job.final),
        "thorough": int(job.thorough),
        "readings": job.readings,
        "priority": job.priority,
        "deadline_ms": now_ms + left_ms,
        "reply_to": reply_to,
    }


def _job(fields: dict[bytes, bytes]) -> tuple[HearingJob, str]:
    words = {_text(key): value for key, value in fields.items() if key != b"pcm"}
    text = {key: _text(value) for key, value in words.items()}
    job = HearingJob(
        call=CallId(text["call"]),
        leg=LegId(text["leg"]),
        utterance=UtteranceId(text["utterance"]),
        revision=int(text["revision"]),
        pcm=fields[b"pcm"],
        rate_hz=int(text["rate_hz"]),
        start_ms=int(text["start_ms"]),
        language=text["language"],
        final=text["final"] == "1",
        thorough=text.get("thorough") == "1",
        readings=int(text.get("readings", "0")),
        priority=int(text["priority"]),
        deadline_ms=int(text["deadline_ms"]),
    )
    if job.rate_hz <= 0 or not text["reply_to"].startswith(REPLY_PREFIX):
        raise ValueError("no hearing job")
    return job, text["reply_to"]


def _plain(hypothesis: Hypothesis) -> dict[str, Any]:
    return {
        "utterance": hypothesis.utterance,
        "revision": hypothesis.revision,
        "heard_to_ms": hypothesis.heard_to_ms,
        "words": _plain_words(hypothesis.words),
        "unsure": hypothesis.unsure,
        "others": [_plain_words(words) for words in hypothesis.others],
        "language": hypothesis.language,
        "final": hypothesis.final,
        "dropped": hypothesis.dropped,
    }


def _hypothesis(plain: dict[str, Any]) -> Hypothesis:
    return Hypothesis(
        utterance=UtteranceId(str(plain["utterance"])),
        revision=int(plain["revision"]),
        heard_to_ms=int(plain["heard_to_ms"]),
        words=_words(plain["words"]),
        unsure=bool(plain.get("unsure")),
        others=tuple(_words(words) for words in plain.get("others", ())),
        language=str(plain["language"]),
        final=bool(plain["final"]),
        dropped=Dropped(plain["dropped"]) if plain["dropped"] else None,
    )


def _plain_words(words: Sequence[Word]) -> list[tuple[str, int, int, float]]:
    return [(w.text, w.start_ms, w.end_ms, w.probability) for w in words]


def _words(plain: Sequence[Sequence[Any]]) -> tuple[Word, ...]:
    return tuple(
        Word(text=str(text), start_ms=int(start_ms), end_ms=int(end_ms), probability=float(probability))
        for text, start_ms, end_ms, probability in plain
    )


def _flat(entries: Any) -> list[tuple[str, dict[bytes, bytes]]]:
    """Stream entries as (id, fields); RESP3 nests them once more, deleted ones come without fields."""
    if entries and isinstance(entries[0], list) and entries[0] and isinstance(entries[0][0], (tuple, list)):
        entries = entries[0]
    return [(_text(message_id), fields) for message_id, fields in entries or [] if fields]


def _entries(got: Any) -> list[tuple[str, dict[bytes, bytes]]]:
    if not got:
        return []
    streams = list(got.values()) if isinstance(got, dict) else [entries for _, entries in got]
    return [entry for entries in streams for entry in _flat(entries)]
