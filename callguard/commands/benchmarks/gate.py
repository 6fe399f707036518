"""What is no speech must make no words, and what is speech must not be lost: both figures, beside the peer's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from callguard.asr.local import LocalLine
from callguard.asr.models import ensure_model
from callguard.asr.whisper import WhisperRecognizer
from callguard.audio.wav import read_mono, through_ulaw, to_pcm
from callguard.commands.benchmarks.hearing import PEER, Add
from callguard.commands.benchmarks.sentences import Clip, recorded, spoken, words_of
from callguard.model.ids import CallId, LegId, Role
from callguard.model.sound import RATE_HZ
from callguard.model.words import Transcript
from callguard.session.listening import Listening, hear_files

Wave = npt.NDArray[np.float64]
SECONDS = 6
MUSIC_S = 60
"""So much of each piece of hold music, from its middle."""


def waves() -> dict[str, Wave]:
    """What a line carries besides speech: -1..1 at 8000 Hz, six seconds each."""
    t = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    white = np.random.default_rng(5).standard_normal(len(t))
    spectrum = np.fft.rfft(white)
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    pink = np.fft.irfft(spectrum, len(t))

    def tones(*hz: float, on_s: float = SECONDS, off_s: float = 0.0) -> Wave:
        wave = sum(np.sin(2 * np.pi * f * t) for f in hz) / len(hz)
        return np.asarray(np.where(t % (on_s + off_s) < on_s, wave, 0.0) * 0.5)

    def noise(dbfs: float, wave: Wave = white) -> Wave:
        return np.asarray(wave / wave.std() * 10 ** (dbfs / 20))

    return {
        "silence": np.zeros(len(t)),
        "hiss at -60 dBFS": noise(-60),
        "white noise at -20 dBFS": noise(-20),
        "white noise at -6 dBFS": noise(-6),
        "pink noise at -15 dBFS": noise(-15, pink),
        "clipped noise": np.clip(noise(6), -1, 1),
        "mains hum": tones(50, 100, 150),
        "direct current": np.full(len(t), 0.3),
        "key presses": _keys(t),
        "ringback": tones(440, 480, on_s=2, off_s=4),
        "busy": tones(480, 620, on_s=0.5, off_s=0.5),
        "dial tone": tones(350, 440),
        "fax calling": tones(1100, on_s=0.5, off_s=3),
        "fax answer": tones(2100),
    }


def _keys(t: Wave) -> Wave:
    """Twenty keys of a telephone, a half of the time each."""
    low, high = (697, 770, 852, 941), (1209, 1336, 1477)
    wave = np.zeros(len(t))
    for n in range(20):
        part = (n * 0.3 <= t) & (n * 0.3 + 0.15 > t)
        wave[part] = (np.sin(2 * np.pi * low[n % 4] * t) + np.sin(2 * np.pi * high[n % 3] * t))[part] * 0.3
    return wave


def noises() -> dict[str, bytes]:
    """The same as PCM after mu-law."""
    return {name: through_ulaw(to_pcm(wave, RATE_HZ)) for name, wave in waves().items()}


def music(folder: Path) -> dict[str, bytes]:
    """A minute of each piece of hold music in a folder."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.wav")):
        pcm, want = read_mono(path), MUSIC_S * RATE_HZ * 2
        start = max(0, (len(pcm) - want) // 4 * 2)
        found[path.stem] = through_ulaw(pcm[start : start + want])
    return found


def measure_gate(
    add: Add,
    *,
    model: str,
    clips: int,
    sounds: Path | None,
    texts: Path | None,
    hold: Path | None,
    cache: Path,
    say: Callable[[str], None],
) -> None:
    """Noises, hold music and real utterances through the whole way, and through the peer's with its own filter."""
    folder = ensure_model(model, model_dir=cache / "models")
    said = spoken(cache) + (recorded(sounds, texts, count=clips) if sounds and texts else [])
    said = [clip for clip in said if "beep" not in clip.text]
    silent = noises() | (music(hold) if hold else {})
    say(f"{len(silent)} sounds without speech, {len(said)} utterances, model {model}")
    ours, lost = asyncio.run(_ours(folder, silent, said, say))
    peer, peer_lost = _peer(folder, silent, said, say)
    minutes = sum(len(pcm) for pcm in silent.values()) / 2 / RATE_HZ / 60
    say(f"{minutes:.1f} minutes without speech; made into words by us: {sorted(ours) or 'none'}")
    add("words made of sound without speech", sum(ours.values()), "words", sum(peer.values()), PEER)
    add("utterances lost", 100 * lost / len(said), "%", 100 * peer_lost / len(said), PEER)


async def _ours(
    folder: Path, silent: dict[str, bytes], said: list[Clip], say: Callable[[str], None]
) -> tuple[dict[str, int], int]:
    line = LocalLine(WhisperRecognizer(folder))
    heard: list[Transcript] = []
    made: dict[str, int] = {}

    async def words(pcm: bytes) -> int:
        heard.clear()
        listening = Listening(line, on_transcript=heard.append, steady=True)
        await hear_files(listening, CallId("bench"), {LegId("bench"): (Role.CALLER, pcm)}, language="en")
        return sum(len(one.committed) for one in {one.utterance: one for one in heard}.values())

    try:
        for name, pcm in silent.items():
            say(f"  {name}")
            if count := await words(pcm):
                made[name] = count
        pause = bytes(RATE_HZ)
        lost = [clip.text for clip in said if not await words(pause + clip.pcm + pause)]
    finally:
        line.close()
    if lost:
        say(f"  lost: {lost}")
    return made, len(lost)


def _peer(
    folder: Path, silent: dict[str, bytes], said: list[Clip], say: Callable[[str], None]
) -> tuple[dict[str, int], int]:
    from faster_whisper import WhisperModel

    say("  the same for the peer")
    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)

    def words(pcm: bytes) -> int:
        sound = soxr.resample(np.frombuffer(pcm, "<i2").astype(np.float32) / 32768, RATE_HZ, 16000)
        segments, _ = model.transcribe(sound, language="en", vad_filter=True)
        return sum(len(words_of(segment.text)) for segment in segments)

    made = {name: count for name, pcm in silent.items() if (count := words(pcm))}
    return made, sum(1 for clip in said if not words(clip.pcm))
