"""Announcements: their texts, the sounds made of them, and whether the two still agree.

A language is a folder: ``prompts.toml`` (texts and tones), ``<name>.wav`` (8 kHz), ``<name>.wav16`` (16 kHz, as
Asterisk spells it) and ``sounds.json`` (of which text each sound was made).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from callguard import voices
from callguard.model.action import Refusal, Tone
from callguard.model.errors import SettingsError
from callguard.speech.level import active_dbfs

CALLER_PROMPTS = ("warn-1", "warn-2", "warn-3", "time-notice", "closing", "recording-notice")
TONES = (*(f"tone-{tone}" for tone in Tone if tone is not Tone.NONE), "tone-supervisor")
REFUSALS = tuple(f"refusal-{refusal}" for refusal in Refusal)
NEEDED = (*CALLER_PROMPTS, *TONES, *REFUSALS)
"""Every name that policies, dialplan and key answers may call."""

RATES = {".wav": 8000, ".wav16": 16000}
LONGEST_S = {"warn": 20.0, "refusal": 5.0, "tone": 1.5}
"""A refusal or a tone holds the agent's leg: the caller hears nothing meanwhile."""


class _Text(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    text: str = Field(min_length=1)
    spoken: str = ""


class _PromptFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    language: str = Field(pattern=r"^[a-z]{2}$")
    voice: str
    pace: float = Field(default=1.0, gt=0.5, lt=2.0)
    prompts: dict[str, _Text]
    tones: dict[str, list[tuple[float, int]]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One announcement. text: as people read it, "" for a tone. spoken: as the voice is given it.

    steps: of a tone, (Hz, ms) pairs; empty for speech.
    """

    name: str
    text: str = ""
    spoken: str = ""
    steps: tuple[tuple[float, int], ...] = ()

    @property
    def mark(self) -> str:
        """Changes whenever the sound has to be made again."""
        return hashlib.sha256(repr((self.spoken, self.steps)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """All announcements of one language, and the folder they live in."""

    folder: Path
    language: str
    voice: str
    pace: float
    prompts: tuple[Prompt, ...]

    def __getitem__(self, name: str) -> Prompt:
        return next(prompt for prompt in self.prompts if prompt.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something wrong with one announcement. code: stable, kebab-case."""

    language: str
    name: str
    code: str
    text: str


def languages(root: Path) -> tuple[str, ...]:
    """The languages that have a prompts.toml below this folder, sorted."""
    return tuple(sorted(file.parent.name for file in root.glob("*/prompts.toml")))


def load_prompts(root: Path, language: str) -> PromptSet:
    """Read ``<root>/<language>/prompts.toml``. Raises SettingsError naming the place."""
    file = root / language / "prompts.toml"
    try:
        read = _PromptFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        known = ", ".join(languages(root)) or "none"
        raise SettingsError("there is no such file", where=str(file), hint=f"languages here: {known}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not TOML: {error}", where=str(file), code="settings-not-toml") from None
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise SettingsError(fault["msg"], where=f"{file}: {place}") from None
    if read.language != language:
        raise SettingsError(f"says it is {read.language!r}", where=f"{file}: language")
    spoken = [Prompt(name=name, text=one.text, spoken=one.spoken or one.text) for name, one in read.prompts.items()]
    tones = [Prompt(name=name, steps=tuple(steps)) for name, steps in read.tones.items()]
    return PromptSet(folder=file.parent, language=language, voice=read.voice, pace=read.pace, prompts=(*spoken, *tones))


def stale(prompts: PromptSet) -> tuple[Prompt, ...]:
    """The announcements whose sound is missing or was made of another text."""
    made = _made(prompts.folder)
    return tuple(
        prompt
        for prompt in prompts.prompts
        if made.get(prompt.name) != _mark(prompts, prompt)
        or not all((prompts.folder / f"{prompt.name}{ending}").is_file() for ending in RATES)
    )


def build(
    prompts: PromptSet, *, every: bool, tell: Callable[[Prompt, float], None] = lambda prompt, seconds: None
) -> int:
    """Make the sounds that are stale, or ``every`` one. Returns how many. ``tell`` hears of each with its seconds."""
    todo = prompts.prompts if every else stale(prompts)
    made = _made(prompts.folder)
    for prompt in todo:
        seconds = _render(prompts, prompt)
        made[prompt.name] = _mark(prompts, prompt)
        tell(prompt, seconds)
    known = {prompt.name for prompt in prompts.prompts}
    kept = {name: mark for name, mark in sorted(made.items()) if name in known}
    _record(prompts.folder).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return len(todo)


def _render(prompts: PromptSet, prompt: Prompt) -> float:
    said = None if prompt.steps else voices.speak(prompt.spoken, voice=prompts.voice, pace=prompts.pace)
    seconds = 0.0
    for ending, rate in RATES.items():
        sound = voices.for_telephone(*said, to_rate=rate) if said else voices.tone(prompt.steps, rate)
        voices.write_wav(prompts.folder / f"{prompt.name}{ending}", sound, rate)
        seconds = len(sound) / rate
    return seconds


def check(prompts: PromptSet) -> Iterator[Trouble]:
    """Everything that would keep an announcement from being heard well."""
    names = {prompt.name for prompt in prompts.prompts}
    for name in NEEDED:
        if name not in names:
            yield Trouble(language=prompts.language, name=name, code="prompt-text-missing", text="has no text")
    made = _made(prompts.folder)
    for prompt in prompts.prompts:
        if made.get(prompt.name) not in (None, _mark(prompts, prompt)):
            yield Trouble(
                language=prompts.language,
                name=prompt.name,
                code="prompt-sound-stale",
                text="the sound was made of another text",
            )
        for ending, rate in RATES.items():
            yield from _check_sound(prompts, prompt, prompts.folder / f"{prompt.name}{ending}", rate)


def _check_sound(prompts: PromptSet, prompt: Prompt, file: Path, rate: int) -> Iterator[Trouble]:
    def trouble(code: str, text: str) -> Trouble:
        return Trouble(language=prompts.language, name=prompt.name, code=code, text=f"{file.name}: {text}")

    if not file.is_file():
        yield trouble("prompt-sound-missing", "there is no such sound")
        return
    try:
        sound, has_rate, channels = voices.read_wav(file)
    except SettingsError:
        yield trouble("sound-unreadable", "not a readable WAV file")
        return
    if (has_rate, channels) != (rate, 1):
        yield trouble("prompt-sound-format", f"{has_rate} Hz and {channels} channels, should be {rate} Hz mono")
    longest = LONGEST_S.get(prompt.name.partition("-")[0], 30.0)
    if len(sound) / has_rate > longest:
        yield trouble("prompt-sound-long", f"{len(sound) / has_rate:.1f} s, should be at most {longest:.0f} s")
    if voices.peak_dbfs(sound) > -3.0:
        yield trouble("prompt-sound-loud", f"peak {voices.peak_dbfs(sound):.1f} dBFS, should be under -3")
    if not -26.0 <= active_dbfs(sound, has_rate) <= -15.0:
        level = active_dbfs(sound, has_rate)
        yield trouble("prompt-sound-level", f"{level:.1f} dBFS, should be about {voices.SPEECH_DBFS:.0f}")


def install(prompts: PromptSet, sounds_dir: Path) -> list[Path]:
    """Copy all sounds to ``<sounds_dir>/<language>/callguard/``; returns the files that are new or changed."""
    target = sounds_dir / prompts.language / "callguard"
    changed: list[Path] = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        for prompt in prompts.prompts:
            for ending in RATES:
                source, goal = prompts.folder / f"{prompt.name}{ending}", target / f"{prompt.name}{ending}"
                if not goal.is_file() or goal.read_bytes() != source.read_bytes():
                    half = goal.with_name(f".{goal.name}.new")
                    shutil.copyfile(source, half)
                    half.chmod(0o644)
                    half.replace(goal)
                    changed.append(goal)
    except FileNotFoundError as error:
        raise SettingsError(
            "a sound is missing", where=str(error.filename), code="prompt-sound-missing", hint="callguard prompts build"
        ) from None
    except OSError as error:
        raise SettingsError(
            f"cannot be written: {error.strerror}",
            where=str(target),
            code="sounds-not-writable",
            hint="run as root, or as the user who owns Asterisk's sounds",
        ) from None
    return changed


def _mark(prompts: PromptSet, prompt: Prompt) -> str:
    voice = "" if prompt.steps else f"{prompts.voice} {prompts.pace:g} "
    return f"{voice}{prompt.mark}"


def _record(folder: Path) -> Path:
    return folder / "sounds.json"


def _made(folder: Path) -> dict[str, Any]:
    try:
        read = json.loads(_record(folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
