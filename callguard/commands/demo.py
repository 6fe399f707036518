"""``callguard demo``: a real call being guarded on a private Asterisk, told line by line, then measured in sound."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from callguard.model.errors import PeerFault

if TYPE_CHECKING:
    from pydantic import BaseModel

    from callguard.sandbox.guarding import Guarding
    from callguard.sandbox.scene import Scene, Speech, Step
    from callguard.sandbox.world import Handset, World

app = typer.Typer(add_completion=False)

FINDING_S = 12.0
"""So long a finding is waited for after the words; then the agent acts all the same."""


@app.command()
def demo(
    scenario: Annotated[str, typer.Option(help="en, ja or complaint.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON line on stdout.")] = False,
) -> None:
    """A caller rings, turns abusive, the agent presses keys; see and hear what comes of it."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    result = asyncio.run(_main(scenario))
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))
    raise typer.Exit(0 if result["as_expected"] else 1)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - talk of a command


async def _main(name: str) -> dict[str, Any]:
    from callguard.asr.models import ensure_models
    from callguard.sandbox.guarding import guarding, settings_text
    from callguard.sandbox.house import house, sandbox_dir
    from callguard.sandbox.scene import Speech, load
    from callguard.sandbox.world import world
    from callguard.shipped import shipped

    scene = load(name)
    place = sandbox_dir()
    home, speech_dir = place / "demo", place / "speech"
    for folder in (home, speech_dir):
        folder.mkdir(parents=True, exist_ok=True)
    here = await asyncio.to_thread(house, _say)
    _say("speech models and voices")
    await asyncio.to_thread(ensure_models, ("base", "tiny.en"), model_dir=place / "models")
    speech = Speech(folder=speech_dir)
    await asyncio.to_thread(speech.every_line, scene)
    story = Story(scene=scene)
    async with world(here, language=scene.language) as there:
        settings = home / "callguard.toml"
        policy = shipped(f"policies/{scene.language}.toml")
        settings.write_text(
            settings_text(there, home=home, bus=there.folder / "busdata", policy=policy, models=place / "models"),
            encoding="utf-8",
        )
        _say("a guarded Asterisk and an outside world are up; starting callguard")
        async with guarding(there, settings, on_event=story.tell) as daemon:
            return await story.play(there, daemon, speech, settings, name)


@dataclass(slots=True)
class Story:
    """One scene as it happens."""

    scene: Scene
    findings: list[str] = field(default_factory=list)
    _last_words: str = ""

    async def play(self, there: World, daemon: Guarding, speech: Speech, settings: Path, name: str) -> dict[str, Any]:
        """The call from its first ring to its measured end."""
        since = len(there.outside.events)
        caller = await there.ring(number=self.scene.caller, name=self.scene.name)
        _say(f"  {self.scene.name} ({self.scene.caller}) rings the queue")
        agent = await there.phone("agent1", after=since)
        _say("  agent1 answers")
        begun = await daemon.until(lambda e: _is(e, "call") and bool(_of(e, "agent_channel")), timeout_s=15)
        for step in self.scene.steps:
            await self._step(step, caller, agent, daemon, speech)
        await asyncio.sleep(1.0)  # a person lets a moment pass before hanging up
        await caller.hang_up()
        await agent.gone()
        _say("  the call is over")
        await daemon.until(lambda e: _is(e, "call") and bool(_of(e, "ended")), timeout_s=20)
        if any(_is(e, "case") for e in daemon.board):
            await daemon.until(lambda e: _is(e, "case") and _of(e, "status") == "finished", timeout_s=20)
        return self._measured(daemon, caller, agent, str(_of(begun, "call")), settings, name)

    async def _step(self, step: Step, caller: Handset, agent: Handset, daemon: Guarding, speech: Speech) -> None:
        since = len(daemon.board)
        if step.press is not None:
            await agent.press(_digits(daemon.settings, step.press))
            await daemon.until(lambda e: _is(e, "key"), timeout_s=10, after=since)
        elif step.caller:
            await caller.say(speech.of(step.caller, self.scene.voices["caller"]))
        else:
            await agent.say(speech.of(step.agent, self.scene.voices["agent"]))
        if step.waits == "finding":
            try:
                await daemon.until(lambda e: _is(e, "finding"), timeout_s=FINDING_S, after=since)
            except TimeoutError:
                _say("  (no finding so far; the agent acts all the same)")
        elif step.waits == "warning":
            await daemon.until(
                lambda e: _is(e, "action") and _of(e, "name") == "PlayWarning" and _of(e, "effect") != "begun",
                timeout_s=40,
                after=since,
            )

    def tell(self, event: BaseModel) -> None:
        """One line of the timeline, where the event is worth one."""
        line = self._line(event)
        if line:
            _say(f"{int(_of(event, 'at_ms') or 0) / 1000:7.2f} s  {line}")

    def _line(self, event: BaseModel) -> str:
        match _of(event, "kind"):
            case "transcript" if _of(event, "closed") and _of(event, "text"):
                return f"{_of(event, 'role')}: {_of(event, 'text')}"
            case "finding":
                self.findings.append(str(_of(event, "rule")))
                kind = f"{_of(event, 'category')}, severity {_of(event, 'severity')}, {_of(event, 'stage')}"
                return f"FINDING {_of(event, 'rule')} ({kind}): {_of(event, 'words')}"
            case "key":
                refused = f", refused: {_of(event, 'refusal')}" if _of(event, "refusal") else ""
                return f"KEY {_of(event, 'key')} -> {_of(event, 'tone')}{refused}"
            case "decision":
                actions = ", ".join(_of(event, "actions") or ()) or "nothing to do"
                return f"DECISION {actions}: {'; '.join(_of(event, 'because') or ())}"
            case "action" if _of(event, "name") == "PlayWarning":
                return f"WARNING {_of(event, 'effect')} {_of(event, 'detail')}".rstrip()
            case "case":
                start, end = _of(event, "segment_start_ms"), _of(event, "segment_end_ms")
                span = f", sound from {start / 1000:.1f} s" if start is not None else ""
                span += f" to {end / 1000:.1f} s" if end is not None else ""
                return f"CASE {_of(event, 'case')} {_of(event, 'status')}{span}"
            case _:
                return ""

    def _measured(
        self, daemon: Guarding, caller: Handset, agent: Handset, call: str, settings: Path, name: str
    ) -> dict[str, Any]:
        from callguard.sandbox import ears
        from callguard.shipped import shipped

        board = [e for e in daemon.board if _of(e, "call") == call]
        prompts = shipped("prompts") / self.scene.language
        warning = ears.likeness(prompts / "warn-1.wav", caller.heard)
        again = ears.likeness(prompts / "warn-1.wav", agent.heard)
        tones = ears.likeness(prompts / "tone-accepted.wav", agent.heard)
        leaked = ears.likeness(prompts / "tone-accepted.wav", caller.heard)
        flag = next((e for e in board if _is(e, "key") and _of(e, "key") == "flag"), None)
        case = next((e for e in board if _is(e, "case")), None)
        starts = [s for e in board if _is(e, "case") and (s := _of(e, "segment_start_ms")) is not None]
        stored = _of(flag, "stored_at") if flag is not None else None
        result: dict[str, Any] = {
            "scenario": name,
            "case": str(_of(case, "case")) if case is not None else "",
            "flagged": case is not None,
            "key_to_flag_ms": round((stored - _of(flag, "pressed_at")).total_seconds() * 1000) if stored else None,
            "segment_starts_before_key_ms": int(_of(flag, "at_ms")) - min(starts) if flag and starts else None,
            "warning_heard_by_caller": bool(warning),
            "tone_heard_by_agent": bool(tones),
            "warning_heard_by_agent": len(again),
            "tone_heard_by_caller": bool(leaked),
            "findings": self.findings,
        }
        wanted = self.scene.flagged
        result["as_expected"] = (
            result["flagged"] is wanted
            and result["warning_heard_by_caller"] is wanted
            and result["tone_heard_by_agent"] is wanted
            and len(again) <= 1
            and not leaked
            and (not wanted or (result["segment_starts_before_key_ms"] or 0) > 0)
        )
        self._summary(result, warning, tones, settings)
        return result

    def _summary(
        self,
        result: dict[str, Any],
        warning: list[tuple[float, float]],
        tones: list[tuple[float, float]],
        settings: Path,
    ) -> None:
        _say("")
        _say("measured in what both sides heard:")
        at = f"at {warning[0][0]:.1f} s, likeness {warning[0][1]:.2f}" if warning else "not heard"
        _say(f"  caller: the warning {at}")
        at = ", ".join(f"{place:.1f} s" for place, _ in tones)
        tone = f"at {at}" if tones else "not heard"
        _say(f"  agent:  the tone {tone}; the warning {result['warning_heard_by_agent']} times")
        if result["key_to_flag_ms"] is not None:
            before = result["segment_starts_before_key_ms"]
            _say(f"  key to stored flag: {result['key_to_flag_ms']} ms; evidence begins {before} ms before the key")
        if result["case"]:
            file = os.path.relpath(settings)
            _say(f"\nsee it again:  .venv/bin/callguard case show {result['case']} --settings {file}")
        else:
            _say("\nno flag was raised, and no sound was kept")
        if not result["as_expected"]:
            _say("this is not how it should have gone")


def _is(event: object, kind: str) -> bool:
    return getattr(event, "kind", "") == kind


def _of(event: object, name: str) -> Any:
    return getattr(event, name, None)


def _digits(settings: Path, key: Any) -> str:
    from callguard.config import load_settings
    from callguard.policyfile import load_policy

    digits = load_policy(load_settings(settings).policy.file).keys.of(key)
    if not digits:
        raise PeerFault(f"the policy has no key for {key}", code="sandbox-no-key")
    return digits
