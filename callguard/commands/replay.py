"""``callguard replay``: the whole pipeline over sound files, faster than real time. No Asterisk, no server."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from callguard.config import SpeechSettings
    from callguard.model.action import Decision
    from callguard.model.finding import Finding
    from callguard.model.words import Transcript

app = typer.Typer(add_completion=False)


@app.command()
def replay(
    caller: Annotated[Path, typer.Argument(help="Sound of the caller; a stereo file holds the agent on the right.")],
    agent: Annotated[Path | None, typer.Option(help="Sound of the agent.")] = None,
    lang: Annotated[str, typer.Option(help="en, ja, or nothing to find out.")] = "",
    policy: Annotated[Path | None, typer.Option(help="Policy file; default: the settings' own.")] = None,
    model: Annotated[str, typer.Option(help="Model by name or folder; default: the settings' own.")] = "",
    settings: Annotated[Path | None, typer.Option("--settings", help="Settings file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines; the last one is the summary.")] = False,
) -> None:
    """Hear and judge a recorded call as if it were live. Nothing is stored, nobody is called."""
    from callguard.audio.wav import read_tracks
    from callguard.config import load_settings
    from callguard.model.errors import SettingsError
    from callguard.policyfile import load_policy, load_rules
    from callguard.session.judging import Guard
    from callguard.shipped import shipped

    if lang not in ("", "en", "ja"):
        raise SettingsError(f"there is no language {lang!r}", where="--lang", hint="en, ja, or leave it out")
    read = load_settings(settings)
    tracks = read_tracks(caller)
    theirs = tracks[0]
    ours = read_tracks(agent)[0] if agent else tracks[1] if len(tracks) > 1 else None
    file = policy or (shipped(f"policies/{lang}.toml") if lang else read.policy.file)
    chosen = load_policy(file)
    guard = Guard(policy=chosen, rules=load_rules(chosen))
    line = _json_line if as_json else _text_line
    summary = asyncio.run(
        replay_tracks(
            theirs,
            ours,
            guard=guard,
            language=lang or (chosen.languages[0] if len(chosen.languages) == 1 else ""),
            speech=read.speech.with_model(model),
            tell=line,
        )
    )
    line({"kind": "summary", "file": caller.name, **summary})


async def replay_tracks(
    caller: bytes,
    agent: bytes | None,
    *,
    guard: Any,
    language: str,
    speech: SpeechSettings,
    tell: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Run both sides through recognizer and judge; tell every step; return the summary."""
    from callguard.commands.local_hearing import local_line
    from callguard.model.action import CallFacts
    from callguard.model.ids import CallId, LegId, Role
    from callguard.session.judging import Judge
    from callguard.session.listening import Listening, hear_files

    judge = Judge(guard)
    findings: list[Finding] = []
    words: dict[str, int] = {"caller": 0, "agent": 0}

    def follow(found: list[Finding], decided: list[Decision]) -> None:
        for finding in found:
            findings.append(finding)
            tell(finding_line(finding))
        for decision in decided:
            tell(decision_line(decision))

    def said(transcript: Transcript) -> None:
        if transcript.closed:
            words[transcript.role.value] += len(transcript.committed)
            tell(utterance_line(transcript))
        follow(*judge.hear([transcript]))

    last_s = -1

    def on_time(at_ms: int) -> None:
        nonlocal last_s
        if at_ms // 1000 != last_s:
            last_s = at_ms // 1000
            follow(*judge.pass_time(at_ms))

    call = CallId("replay")
    tracks = {LegId("caller"): (Role.CALLER, caller)}
    if agent is not None:
        tracks[LegId("agent")] = (Role.AGENT, agent)
    with local_line(speech) as line:
        listening = Listening(
            line,
            on_transcript=said,
            on_readings=lambda readings: follow(*judge.hear([readings])),
            on_level=lambda level: follow(*judge.hear([level])),
            on_overlap=lambda overlap: follow(*judge.hear([overlap])),
            steady=True,
        )
        began = time.perf_counter()
        follow(*judge.learn(CallFacts(call=call, queue="", language=language, number_known=False)))
        length_ms = await hear_files(listening, call, tracks, language=language, on_time=on_time)
        took_s = time.perf_counter() - began
    firm = [one for one in findings if one.stage.value == "committed"]
    return {
        "policy": guard.policy.name,
        "policy_hash": guard.policy.hash,
        "language": language,
        "length_ms": length_ms,
        "took_ms": int(took_s * 1000),
        "times_real_time": round(length_ms / 1000 / took_s, 1) if took_s else 0.0,
        "words": words,
        "findings": len(firm),
        "rules": sorted({one.rule for one in firm}),
        "kinds": sorted({one.category.value for one in firm}),
        "worst": max((one.severity for one in firm), default=0),
        "flagged": judge.ladder.flagged,
        "care": judge.ladder.care.value if judge.ladder.care else "",
    }


def utterance_line(said: Transcript) -> dict[str, Any]:
    """One closed utterance with its words."""
    return {
        "kind": "utterance",
        "utterance": said.utterance,
        "role": said.role.value,
        "language": said.language,
        "start_ms": said.start_ms,
        "end_ms": said.end_ms,
        "text": said.text,
        "words": [
            {
                "text": word.text,
                "start_ms": word.start_ms,
                "end_ms": word.end_ms,
                "probability": round(word.probability, 3),
            }
            for word in said.committed
        ],
    }


def finding_line(finding: Finding) -> dict[str, Any]:
    """One finding."""
    from callguard.session.records import plain

    return {"kind": "finding", **plain(replace(finding))}


def decision_line(decision: Decision) -> dict[str, Any]:
    """One decision, with the names of its actions."""
    return {
        "kind": "decision",
        "at_ms": decision.at_ms,
        "because": list(decision.because),
        "actions": [type(action).__name__ for action in decision.actions],
        "rung": decision.rung,
        "level": decision.level,
        "refusal": decision.refusal.value if decision.refusal else "",
    }


def _json_line(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


def _text_line(line: dict[str, Any]) -> None:
    sys.stdout.write(shown(line) + "\n")


def shown(line: dict[str, Any]) -> str:
    """One line for people."""
    match line["kind"]:
        case "utterance":
            return f"{_clock(line['start_ms'])}  {line['role']:<7} {line['text']}"
        case "finding":
            hint = "?" if line["stage"] == "tentative" else "!"
            return f"{_clock(line['end_ms'])}  {hint} {line['rule']} ({line['severity']}): {line['words']}"
        case "decision":
            return f"{_clock(line['at_ms'])}  > {'; '.join(line['because'])}"
        case _:
            rules = ", ".join(line["rules"]) or "none"
            return (
                f"{_clock(line['length_ms'])}  end. Findings: {line['findings']} (rules: {rules}); "
                f"{line['times_real_time']} times real time"
            )


def _clock(at_ms: int) -> str:
    return f"{at_ms // 60000:02d}:{at_ms // 1000 % 60:02d}.{at_ms % 1000 // 100}"
