"""Sentences to measure on: what is said on such calls, long and short, none used to tune the recognizer."""

from __future__ import annotations

import gzip
import random
import re
from dataclasses import dataclass
from pathlib import Path

from callguard.audio.wav import read_mono, through_ulaw, to_pcm, write_wav

SENTENCES = (
    "I have been waiting for forty minutes and nobody picked up.",
    "You are completely useless, put your manager on right now.",
    "My order arrived broken and I want my money back.",
    "Shut up and listen to me.",
    "I know where you work and I will be waiting outside.",
    "Could you please spell your last name for me?",
    "This is the third time I am calling about the same bill.",
    "Are you stupid or what?",
    "I will find you.",
    "Thank you, that was very kind of you.",
    "The technician never came on Tuesday.",
    "Get lost, you idiot.",
    "I want to cancel the contract by the end of the month.",
    "If this is not fixed today somebody will get hurt.",
    "No, that is not what I said.",
    "Please send the invoice to my new address.",
    "You people are all liars and thieves.",
    "One moment please, I will look that up.",
    "Do you have any idea who I am?",
    "Fine, then I will write a review.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One utterance: PCM at 8000 Hz after mu-law, and what it says."""

    text: str
    pcm: bytes

    @property
    def ms(self) -> int:
        """Its length."""
        return len(self.pcm) // 16


def spoken(cache: Path) -> list[Clip]:
    """The sentences in a synthetic voice. Raises SettingsError where the voice is not installed."""
    from callguard.voices import speak

    cache.mkdir(parents=True, exist_ok=True)
    clips: list[Clip] = []
    for number, text in enumerate(SENTENCES):
        path = cache / f"sentence-{number:02}.wav"
        if not path.exists():
            sound, rate = speak(
                text, voice="piper:joe", pace=1.0 + 0.1 * (number % 3), pitch=1.0 + 0.08 * (number % 4 - 1)
            )
            write_wav(path, through_ulaw(to_pcm(sound, rate)))
        clips.append(Clip(text=text, pcm=read_mono(path)))
    return clips


def recorded(sounds: Path, texts: Path, *, count: int) -> list[Clip]:
    """Prompts of a human talker from Asterisk's English sounds, picked at random but always the same."""
    raw = texts.read_bytes()
    lines = (gzip.decompress(raw) if texts.suffix == ".gz" else raw).decode("utf-8", "replace").splitlines()
    pairs = [line.strip().split(":", 1) for line in lines if ":" in line and not line.startswith(";")]
    clips: list[Clip] = []
    random.Random(1).shuffle(pairs)
    for name, text in pairs:
        path = sounds / f"{name}.wav"
        plain = "/" not in name and not re.search(r"[\[(\d]", text) and words_of(text)
        if plain and path.is_file() and len(clips) < count:
            clips.append(Clip(text=text.strip(), pcm=through_ulaw(read_mono(path))))
    return clips


def installed() -> tuple[Path | None, Path | None, Path | None]:
    """Asterisk's English sounds, their texts and its hold music on this machine or in the private root, if any."""
    for root in (Path(".sandbox/root"), Path("/")):
        texts = root / "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
        sounds = root / "usr/share/asterisk/sounds/en_US_f_Allison"
        hold = root / "usr/share/asterisk/moh"
        if texts.is_file() and sounds.is_dir():
            return sounds, texts, hold if hold.is_dir() else None
    return None, None, None


def words_of(text: str) -> list[str]:
    """Words as they are counted: lower case, no marks."""
    return re.sub(r"[^a-z' ]+", " ", text.lower().replace("-", " ")).split()
