"""Scenes: who says what, which keys the agent presses. The speech is rendered once and kept in the sandbox."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from callguard import voices
from callguard.model.errors import SettingsError
from callguard.model.key import Key

_FOLDER = Path(__file__).with_name("scenes")


class Voice(BaseModel):
    """As ``voices.speak`` takes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    voice: str
    pace: float = 1.0
    pitch: float = 1.0


class Step(BaseModel):
    """Exactly one of caller, agent (what they say) and press (a key) is set. waits: for what, before going on."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    caller: str = ""
    agent: str = ""
    press: Key | None = None
    waits: Literal["", "finding", "warning"] = ""


class Scene(BaseModel):
    """One call. flagged: whether a flag belongs to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    language: Literal["en", "ja"]
    caller: str
    name: str
    flagged: bool
    voices: dict[str, Voice]
    steps: tuple[Step, ...] = Field(min_length=1)


def names() -> tuple[str, ...]:
    """The scenes there are."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.toml")))


def load(name: str) -> Scene:
    """One scene. Raises SettingsError for a name that is none."""
    if name not in names():
        raise SettingsError(f"there is no scene {name}", code="scene-unknown", hint=f"one of: {', '.join(names())}")
    return Scene.model_validate(tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """A line as sound. folder: where rendered lines are kept."""

    folder: Path

    def of(self, text: str, voice: Voice) -> Path:
        """8 kHz sound of this line, rendered where it is not there yet."""
        mark = hashlib.sha256(f"{text}|{voice!r}".encode()).hexdigest()[:20]
        file = self.folder / f"{mark}.wav"
        if not file.is_file():
            sound, rate = voices.speak(text, voice=voice.voice, pace=voice.pace, pitch=voice.pitch)
            half = file.with_suffix(".new")
            voices.write_wav(half, voices.for_telephone(sound, rate, to_rate=8000), 8000)
            half.replace(file)
        return file

    def every_line(self, scene: Scene) -> None:
        """Render all of a scene beforehand."""
        for step in scene.steps:
            for who in ("caller", "agent"):
                if text := getattr(step, who):
                    self.of(text, scene.voices[who])
