"""``callguard policy diff``: the same calls under two policies, and what would have come of them otherwise."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callguard.model.action import CallFacts
from callguard.model.case import RecordKind
from callguard.model.ids import CallId, LegId, Role, UtteranceId
from callguard.model.words import Transcript, Word
from callguard.policyfile import load_policy, load_rules
from callguard.session.judging import Guard, Judge

if TYPE_CHECKING:
    from callguard.config import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldCall:
    """A call's words as they were heard. said: in order of time."""

    name: str
    queue: str
    language: str
    said: tuple[Transcript, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One call that would end otherwise."""

    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"call": self.name, "before": list(self.before), "after": list(self.after)}

    def shown(self) -> str:
        """For people: what is no more, what is new."""
        gone = [f"  - {one}" for one in self.before if one not in self.after]
        new = [f"  + {one}" for one in self.after if one not in self.before]
        return "\n".join([self.name, *gone, *new])


def compare(old: Path, new: Path, calls: Iterable[ToldCall]) -> list[Change]:
    """The calls whose findings or decisions differ. Raises SettingsError where a policy is wrong."""
    guards: dict[tuple[Path, str], Guard] = {}

    def guard(file: Path, queue: str) -> Guard:
        if (file, queue) not in guards:
            policy = load_policy(file, queue=queue)
            guards[file, queue] = Guard(policy=policy, rules=load_rules(policy))
        return guards[file, queue]

    changes: list[Change] = []
    for call in calls:
        before, after = outcome(call, guard(old, call.queue)), outcome(call, guard(new, call.queue))
        if before != after:
            changes.append(Change(name=call.name, before=before, after=after))
    return changes


def outcome(call: ToldCall, guard: Guard) -> tuple[str, ...]:
    """What the policy makes of this call: findings by rule, then the actions decided, each once a place."""
    judge = Judge(guard)
    lines: list[str] = []
    found, decided = judge.learn(
        CallFacts(call=CallId(call.name), queue=call.queue, language=call.language, number_known=False)
    )
    for said in call.said:
        more_found, more_decided = judge.pass_time(said.start_ms)
        found, decided = [*found, *more_found], [*decided, *more_decided]
        more_found, more_decided = judge.hear([said])
        found, decided = [*found, *more_found], [*decided, *more_decided]
    lines += [
        f"finding {one.rule} (severity {one.severity}) at {one.start_ms // 1000} s"
        for one in found
        if one.stage.value == "committed"
    ]
    for decision in decided:
        lines += [f"{type(action).__name__} at {decision.at_ms // 1000} s" for action in decision.actions]
    return tuple(dict.fromkeys(lines))


def scenarios() -> Iterator[ToldCall]:
    """The demo's scenes, word by word."""
    folder = Path(__file__).parents[2] / "sandbox" / "scenes"
    for file in sorted(folder.glob("*.toml")):
        scene = tomllib.loads(file.read_text(encoding="utf-8"))
        language = str(scene.get("language", "en"))
        lines = [(who, str(step[who])) for step in scene["steps"] for who in ("caller", "agent") if who in step]
        said = tuple(_transcript(number, who, text, language) for number, (who, text) in enumerate(lines))
        yield ToldCall(name=f"scene {file.stem}", queue="", language=language, said=said)


def _transcript(number: int, who: str, text: str, language: str) -> Transcript:
    start_ms = number * 6000
    role = Role.AGENT if who == "agent" else Role.CALLER
    parts = text.split() if language == "en" else [text]
    words = tuple(Word(text=f" {w}", start_ms=start_ms, end_ms=start_ms + 4000, probability=0.95) for w in parts)
    return Transcript(
        utterance=UtteranceId(f"{role.value}-{number}"),
        leg=LegId(role.value),
        role=role,
        start_ms=start_ms,
        end_ms=start_ms + 4000,
        language=language,
        committed=words,
        closed=True,
    )


def stored_calls(settings: Settings) -> Iterator[ToldCall]:
    """Every stored case, by the words in its record. Raises StoreFault."""
    from callguard.store import open_store

    place = settings.store
    store = open_store(place.url, segments=place.segments, key_file=place.key_file, archive=place.archive)
    try:
        after = ""
        while True:
            page = store.list_cases(limit=200, after=after)
            for line in page.lines:
                records = store.records(line.id)
                said = [_stored(r.data) for r in records if r.kind is RecordKind.TRANSCRIPT and r.data.get("words")]
                said.sort(key=lambda one: one.start_ms)
                yield ToldCall(name=f"case {line.id}", queue=line.queue, language=line.language, said=tuple(said))
            after = page.after
            if not after:
                return
    finally:
        store.close()


def _stored(data: Mapping[str, Any]) -> Transcript:
    return Transcript(
        utterance=UtteranceId(str(data["utterance"])),
        leg=LegId(str(data["leg"])),
        role=Role(str(data["role"])),
        start_ms=int(data["start_ms"]),
        end_ms=int(data["end_ms"]),
        language=str(data["language"]),
        committed=tuple(
            Word(text=str(t), start_ms=int(s), end_ms=int(e), probability=float(p)) for t, s, e, p in data["words"]
        ),
        closed=True,
    )
