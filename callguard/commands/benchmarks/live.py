"""Live legs: another process speaks the taps' wire format in real time, ours listens."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import struct
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from callguard.asterisk.taps import TapServer
from callguard.bus.jobs import HearingLine
from callguard.bus.link import Bus
from callguard.bus.valkey import EmbeddedValkey
from callguard.commands.benchmarks.hearing import Add
from callguard.commands.benchmarks.sentences import Clip, spoken
from callguard.model.ids import CallId, LegId, Role
from callguard.model.sound import FRAME_BYTES, FRAME_MS, Frame
from callguard.model.words import Transcript
from callguard.session.listening import Listening

TALK_SHARE = 0.4
"""How much of a call its caller speaks."""

AIM_MS = 1500
HEAD_UUID = struct.pack(">BH", 0x01, 16)
HEAD_SOUND = struct.pack(">BH", 0x10, FRAME_BYTES)
_TICKS = os.sysconf("SC_CLK_TCK")

Plan = list[tuple[int, int]]
"""(start in ms, clip's number), in order."""


@dataclass(slots=True)
class LiveResult:
    """What a run found. delays_ms: end of a sentence to its last words committed."""

    calls: int
    seconds: float
    sentences: int = 0
    delays_ms: list[float] = field(default_factory=list)
    daemon_cpu_s: float = 0.0
    workers_cpu_s: float = 0.0
    kb_a_call: float = 0.0
    hearings: int = 0
    state: str = ""

    def percentile(self, share: float) -> float:
        """Delay in ms under which this share of sentences was; those never heard count as endless."""
        ordered = sorted(self.delays_ms) + [float("inf")] * (self.sentences - len(self.delays_ms))
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("inf")

    def tell(self, add: Add) -> None:
        """All figures."""
        for share in (0.5, 0.95, 0.99):
            add(f"end of words to committed words, p{share * 100:.0f}", self.percentile(share), "ms")
        add("sentences never heard", self.sentences - len(self.delays_ms), f"of {self.sentences}")
        add("CPU of the listening process", 100 * self.daemon_cpu_s / self.seconds, "% of core")
        add("CPU of the workers", 100 * self.workers_cpu_s / self.seconds, "% of core")
        add("hearings", self.hearings / self.seconds, "a second")
        add("CPU a hearing", 1000 * self.workers_cpu_s / max(1, self.hearings), "ms")
        add("memory a call", self.kb_a_call, "kB")


async def measure_calls(
    *, calls: int, model: str, seconds: int, workers: int, cache: Path, say: Callable[[str], None]
) -> LiveResult:
    """Run ``calls`` callers for ``seconds`` through taps, detector, stream and worker processes."""
    clips = spoken(cache)
    with tempfile.TemporaryDirectory(prefix="cgb-") as folder:
        valkey = EmbeddedValkey(Path(folder) / "d", socket_dir=Path(folder), durable=False)
        await valkey.start()
        bus = Bus(valkey.url)
        crew = [await _worker(valkey.url, model, cache) for _ in range(workers)]
        try:
            line = HearingLine(bus, daemon="bench")
            await line.start()
            say(f"waiting for {workers} workers")
            async with asyncio.timeout(60):
                while line.workers < workers:  # noqa: ASYNC110 - other processes come up
                    await asyncio.sleep(0.2)
            say(f"{calls} calls for {seconds} s")
            result = await _run(line, clips, calls=calls, seconds=seconds, crew=[one.pid for one in crew])
            await line.stop()
        finally:
            for one in crew:
                with contextlib.suppress(ProcessLookupError):
                    one.terminate()
            await asyncio.gather(*(one.wait() for one in crew))
            await bus.close()
            await valkey.stop()
    return result


async def find_capacity(
    *, model: str, seconds: int, workers: int, most: int, cache: Path, say: Callable[[str], None]
) -> int:
    """Double until it is too much, then halve the gap twice."""
    good, bad, tried = 0, most + 1, 8
    while tried < bad and tried > good:
        result = await measure_calls(
            calls=tried, model=model, seconds=seconds, workers=workers, cache=cache, say=lambda _: None
        )
        p95 = result.percentile(0.95)
        say(f"{tried} calls: p95 {p95:.0f} ms")
        good, bad = (tried, bad) if p95 < AIM_MS else (good, tried)
        if bad > most and tried * 2 <= most:
            tried *= 2
        elif bad - good > max(2, good // 8):
            tried = (good + bad) // 2
        else:
            break
    return good


async def _run(line: HearingLine, clips: list[Clip], *, calls: int, seconds: int, crew: list[int]) -> LiveResult:
    tokens = [str(uuid.uuid4()) for _ in range(calls)]
    plans = [_plan(random.Random(number), clips, seconds) for number in range(calls)]
    first_ms: dict[str, int] = {}
    heard: dict[str, list[tuple[float, Transcript]]] = {token: [] for token in tokens}
    result = LiveResult(calls=calls, seconds=seconds)

    def on_transcript(transcript: Transcript) -> None:
        heard[str(transcript.leg)].append((time.monotonic() * 1000, transcript))

    listening = Listening(line, on_transcript=on_transcript, on_readings=lambda _: None)

    def on_frames(token: str, frames: list[tuple[int, bytes]]) -> None:
        leg = LegId(token)
        origin = first_ms.setdefault(token, frames[0][0])
        for at_ms, pcm in frames:
            listening.put(leg, Frame(leg=leg, at_ms=at_ms - origin, pcm=pcm))

    memory_kb = _rss_kb()
    server = TapServer(on_frames=on_frames, per_address=calls + 64)
    await server.start()
    for token in tokens:
        server.expect(token)
        listening.open_leg(CallId(token), LegId(token), role=Role.CALLER, language="en")
    before, own = sum(cpu_s(pid) for pid in crew), time.process_time()
    speaker = _speaker(server.port, tokens, plans, clips, seconds)
    await asyncio.to_thread(speaker.join)
    result.daemon_cpu_s = time.process_time() - own
    result.kb_a_call = (_rss_kb() - memory_kb) / calls
    await listening.drain()
    result.workers_cpu_s = sum(cpu_s(pid) for pid in crew) - before
    await server.stop()
    for token, plan in zip(tokens, plans, strict=True):
        for start_ms, number in plan:
            result.sentences += 1
            end_ms = start_ms + clips[number].ms
            times = [
                at_ms
                for at_ms, said in heard[token]
                if said.committed and start_ms - 300 <= said.committed[-1].end_ms >= end_ms - 700
            ]
            if times and token in first_ms:
                result.delays_ms.append(max(0.0, times[0] - (first_ms[token] + end_ms)))
    result.state = str(listening.state)
    result.hearings = listening.counts["asked"]
    return result


def _plan(rng: random.Random, clips: list[Clip], seconds: int) -> Plan:
    """One caller's sentences: speech for TALK_SHARE of the time, spread by chance."""
    at_ms = rng.randrange(200, 5000)
    plan: Plan = []
    while True:
        number = rng.randrange(len(clips))
        if at_ms + clips[number].ms + 1500 > seconds * 1000:
            return plan
        plan.append((at_ms, number))
        pause_ms = clips[number].ms * (1 / TALK_SHARE - 1) * rng.uniform(0.5, 1.5)
        at_ms += clips[number].ms + int(max(900, pause_ms))


async def _worker(url: str, model: str, cache: Path) -> asyncio.subprocess.Process:
    from callguard.asr.models import ensure_model

    folder = ensure_model(model, model_dir=cache / "models").resolve()
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from callguard.cli import main; main()",
        "worker",
        "--url",
        url,
        "--model",
        str(folder),
        stderr=asyncio.subprocess.DEVNULL,
    )


def _speaker(
    port: int, tokens: list[str], plans: list[Plan], clips: list[Clip], seconds: int
) -> multiprocessing.process.BaseProcess:
    sounds = [clip.pcm for clip in clips]
    process = multiprocessing.get_context("spawn").Process(target=_speak, args=(port, tokens, plans, sounds, seconds))
    process.start()
    return process


def _speak(port: int, tokens: list[str], plans: list[Plan], sounds: list[bytes], seconds: int) -> None:
    """Run in a process of its own: every leg in real time."""
    asyncio.run(_speak_all(port, tokens, plans, sounds, seconds))


async def _speak_all(port: int, tokens: list[str], plans: list[Plan], sounds: list[bytes], seconds: int) -> None:
    silence, rng = HEAD_SOUND + bytes(FRAME_BYTES), random.Random(7)
    writers: list[asyncio.StreamWriter] = []
    tapes: list[dict[int, bytes]] = []
    for token, plan in zip(tokens, plans, strict=True):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD_UUID + uuid.UUID(token).bytes)
        writers.append(writer)
        asyncio.get_running_loop().create_task(_discard(reader))
        tape: dict[int, bytes] = {}
        for start_ms, number in plan:
            for at in range(0, len(sounds[number]), FRAME_BYTES):
                piece = sounds[number][at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")
                tape[start_ms // FRAME_MS + at // FRAME_BYTES] = HEAD_SOUND + piece
        tapes.append(tape)
    phases = sorted((rng.random() * FRAME_MS / 1000, n) for n in range(len(writers)))
    began = time.monotonic()
    for frame in range(seconds * 1000 // FRAME_MS):
        for phase, n in phases:
            wait_s = began + frame * FRAME_MS / 1000 + phase - time.monotonic()
            if wait_s > 0.002:
                await asyncio.sleep(wait_s)
            writers[n].write(tapes[n].get(frame, silence))
        await asyncio.sleep(0)
    for writer in writers:
        writer.close()


async def _discard(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(65536):
            pass


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, 0 where it is gone."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    return 0.0


def _rss_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
