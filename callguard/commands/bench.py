"""``callguard bench``: measure on this machine, each figure beside its peer in the same run on the same sound."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)

CACHE = Path(".sandbox/bench")
"""Spoken sentences and unpacked models are kept here between runs."""

CORES = os.cpu_count() or 1

Json = Annotated[bool, typer.Option("--json", help="One JSON line a figure.")]
Model = Annotated[str, typer.Option(help="Model by name or folder.")]


class Figures:
    """What a benchmark found: printed as a table on stdout, or as JSON lines."""

    def __init__(self, bench: str, *, as_json: bool) -> None:
        self._bench, self._json = bench, as_json
        self._rows: list[dict[str, Any]] = []

    def add(self, figure: str, ours: float, unit: str, peer: float | None = None, peer_name: str = "") -> None:
        """One figure. peer: the same measured on something else in this run, None where there is no such thing."""
        self._rows.append(
            {"bench": self._bench, "figure": figure, "ours": ours, "peer": peer, "unit": unit, "peer_name": peer_name}
        )

    def show(self) -> None:
        """Print them."""
        for row in self._rows:
            if self._json:
                print(json.dumps(row))  # noqa: T201 - data on stdout
            else:
                peer = "" if row["peer"] is None else f"{row['peer_name']}: {row['peer']:.4g}"
                print(f"{row['figure']:<44} {row['ours']:>10.4g} {row['unit']:<10} {peer}")  # noqa: T201


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - talk on stderr


@app.command()
def asr(
    model: Model = "tiny.en",
    clips: Annotated[int, typer.Option(min=1, help="Recorded prompts to hear, besides the spoken sentences.")] = 40,
    sounds: Annotated[Path | None, typer.Option(help="Asterisk's English sounds; default: those found here.")] = None,
    texts: Annotated[Path | None, typer.Option(help="core-sounds-en.txt (or .gz) of those sounds.")] = None,
    as_json: Json = False,
) -> None:
    """Words wrong and work done: ours beside faster-whisper's own ``transcribe`` with its defaults."""
    from callguard.commands.benchmarks.hearing import measure_asr
    from callguard.commands.benchmarks.sentences import installed

    figures, here = Figures("asr", as_json=as_json), installed()
    measure_asr(
        figures.add,
        model=model,
        clips=clips,
        sounds=sounds or here[0],
        texts=texts or here[1],
        cache=CACHE,
        say=_say,
    )
    figures.show()


@app.command()
def gate(
    model: Model = "tiny.en",
    clips: Annotated[int, typer.Option(min=1, help="Recorded prompts, besides the spoken sentences.")] = 40,
    hold: Annotated[Path | None, typer.Option(help="Folder of hold music; default: Asterisk's own, if here.")] = None,
    as_json: Json = False,
) -> None:
    """Words made of tones, noise and hold music, and utterances lost: ours beside faster-whisper with its filter."""
    from callguard.commands.benchmarks.gate import measure_gate
    from callguard.commands.benchmarks.sentences import installed

    figures, (sounds, texts, music) = Figures("gate", as_json=as_json), installed()
    measure_gate(
        figures.add, model=model, clips=clips, sounds=sounds, texts=texts, hold=hold or music, cache=CACHE, say=_say
    )
    figures.show()


@app.command()
def calls(
    calls: Annotated[int, typer.Option("--calls", min=1, help="Live calls.")] = 20,
    model: Model = "tiny.en",
    seconds: Annotated[int, typer.Option(min=5, help="How long.")] = 30,
    workers: Annotated[int, typer.Option(min=1, help="Recognizer processes; default: one a core.")] = CORES,
    as_json: Json = False,
) -> None:
    """Live calls in real time through the tap server, the detector, the stream and the workers."""
    from callguard.commands.benchmarks.live import measure_calls

    figures = Figures("calls", as_json=as_json)
    got = asyncio.run(measure_calls(calls=calls, model=model, seconds=seconds, workers=workers, cache=CACHE, say=_say))
    got.tell(figures.add)
    figures.show()


@app.command()
def capacity(
    model: Model = "tiny.en",
    seconds: Annotated[int, typer.Option(min=5, help="Seconds a step.")] = 20,
    workers: Annotated[int, typer.Option(min=1, help="Recognizer processes; default: one a core.")] = CORES,
    most: Annotated[int, typer.Option(min=2, help="Try no more calls than this.")] = 128,
    as_json: Json = False,
) -> None:
    """The largest number of calls whose p95 from end of words to committed words is under 1.5 s."""
    from callguard.commands.benchmarks.live import find_capacity

    figures = Figures("capacity", as_json=as_json)
    found = asyncio.run(find_capacity(model=model, seconds=seconds, workers=workers, most=most, cache=CACHE, say=_say))
    figures.add(f"calls at p95 under 1.5 s, {model}, {workers} workers", found, "calls")
    figures.show()


@app.command()
def taps(
    legs: Annotated[int, typer.Option(min=1, help="Legs that send sound.")] = 200,
    seconds: Annotated[int, typer.Option(min=3, help="How long.")] = 10,
    processes: Annotated[int, typer.Option(min=1, max=32, help="So many read them; 1: this one.")] = 1,
    as_json: Json = False,
) -> None:
    """Legs through the tap server, the ring and the detector: work a leg, and how late a frame gets."""
    from callguard.commands.benchmarks.tap_load import measure_taps

    figures = Figures("taps", as_json=as_json)
    asyncio.run(measure_taps(figures.add, legs=legs, seconds=seconds, processes=processes, say=_say))
    figures.show()


@app.command()
def judging(
    utterances: Annotated[list[Path], typer.Option(help="Labelled sentences; may be given again.")],
    as_json: Json = False,
) -> None:
    """Our rules beside public word lists (better-profanity, alt-profanity-check), on the same English sentences."""
    from callguard.commands.benchmarks.judging import measure_judging

    figures = Figures("judging", as_json=as_json)
    measure_judging(figures.add, utterances, say=_say)
    figures.show()


@app.command()
def keys(
    presses: Annotated[int, typer.Option(min=3, help="Flags on real calls.")] = 20,
    as_json: Json = False,
) -> None:
    """From an agent's key on a real call to the stored flag and to the answered tone. Needs root and make setup."""
    from callguard.commands.sandbox import measure_keys

    figures = Figures("keys", as_json=as_json)
    measure_keys(figures.add, presses=presses, say=_say)
    figures.show()
