"""``callguard worker``: hear for daemons on this or any machine that reaches their server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from callguard.model.errors import BusFault, RecognizerFault
from callguard.model.words import Dropped, Hypothesis

if TYPE_CHECKING:
    from callguard.bus.jobs import JobSource
    from callguard.ports import HearingJob

app = typer.Typer(add_completion=False)

ALIVE_EVERY_S = 2.0
NICENESS = 10
"""Calls, keys and taps of the same machine go before the hearing of words: see nice(2)."""
FAULTS_IN_A_ROW = 5
"""After so many failed batches the worker ends; what starts it again (systemd, the daemon) gives it a fresh model."""


@app.command()
def worker(
    url: Annotated[str, typer.Option(help="Redis or Valkey; default: the settings' own.")] = "",
    model: Annotated[str, typer.Option(help="Model by name or folder; default: the settings' own.")] = "",
    batch: Annotated[int, typer.Option(min=1, max=64, help="Most utterances decoded together.")] = 8,
    config: Annotated[Path | None, typer.Option("--settings", "--config", help="Settings file.")] = None,
) -> None:
    """Hear until told to stop, at low priority. SIGTERM: finish what is in hand, then go."""
    from callguard.asr import load_recognizer
    from callguard.bus.jobs import hearing_url
    from callguard.config import load_settings

    settings = load_settings(config)
    speech = settings.speech.with_model(model)
    recognizer = load_recognizer(
        speech.model,
        english_model=speech.english_model,
        last_words_model=speech.last_words_model,
        model_dir=speech.model_dir,
        device=speech.device,
        compute_type=speech.compute_type,
        threads=speech.threads,
        languages=speech.languages,
    )
    asyncio.run(_run(url or hearing_url(settings.bus.url, settings.bus.socket_dir), recognizer.hear, batch=batch))


async def _run(url: str, hear: Callable[[Sequence[HearingJob]], list[Hypothesis]], *, batch: int) -> None:
    from callguard.bus.jobs import JobSource
    from callguard.bus.link import Bus

    with contextlib.suppress(OSError):
        os.nice(max(0, NICENESS - os.nice(0)))
    bus = Bus(url)
    source = JobSource(bus, name=f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}", batch=batch)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        await serve(source, hear, stopping)
    finally:
        await bus.close()
    print(f"worker: {dict(source.counts)}", file=sys.stderr)  # noqa: T201 - talk of a command


async def serve(
    source: JobSource,
    hear: Callable[[Sequence[HearingJob]], list[Hypothesis]],
    stopping: asyncio.Event,
) -> None:
    """Take, hear, answer, until ``stopping``. Goes on through restarts of the server.

    Raises RecognizerFault after several failed batches in a row; their jobs were answered as FAULT.
    """
    over = asyncio.Event()
    alive = asyncio.create_task(_stay_alive(source, over), name="worker-alive")
    faults, wait_s, started = 0, 0.05, False
    try:
        while not stopping.is_set():
            try:
                if not started:
                    await source.start()
                    started = True
                taken = await source.take()
                if not taken:
                    continue
                began = asyncio.get_running_loop().time()
                jobs = [one.job for one in taken]
                try:
                    hypotheses = await asyncio.to_thread(hear, jobs)
                    faults = 0
                except RecognizerFault:
                    faults += 1
                    hypotheses = [_fault(job) for job in jobs]
                    if faults >= FAULTS_IN_A_ROW:
                        await source.give(taken, hypotheses)
                        raise
                if not any(job.readings for job in jobs):
                    source.took((asyncio.get_running_loop().time() - began) * 1000)
                await source.give(taken, hypotheses)
                wait_s = 0.05
            except BusFault:
                started = False
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), wait_s)
                wait_s = min(wait_s * 2, 2.0)
    finally:
        over.set()
        await alive
        await source.stop()


async def _stay_alive(source: JobSource, over: asyncio.Event) -> None:
    """Ends by the event: a cancellation that meets the client in mid-command is not sure to arrive."""
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), ALIVE_EVERY_S)
            return
        with contextlib.suppress(BusFault):
            await source.say_alive()


def _fault(job: HearingJob) -> Hypothesis:
    from callguard.bus.jobs import nothing_heard

    return nothing_heard(job, Dropped.FAULT)
