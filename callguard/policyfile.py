"""Policy files: read, inherited, checked, frozen.

A policy is one TOML file that may ``extends`` another and may hold overrides for a queue under ``[queue.NAME]``.
Tables are merged key by key, lists are replaced whole. Everything that decides goes into the hash: the merged policy,
the rule files, and the announcements' words.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from callguard.detect.learned import Learned, read_learned
from callguard.detect.rules import RuleSet, compile_rules, merge_tables
from callguard.model.errors import SettingsError
from callguard.model.finding import Category
from callguard.model.key import Key
from callguard.model.policy import (
    Announcement,
    Consent,
    Destinations,
    Ending,
    Evidence,
    Exceptions,
    Keeping,
    KeyMap,
    Measure,
    Mode,
    Policy,
    Repeat,
    Rest,
    Rights,
    RuleChoice,
    Rung,
    TimeLimit,
)
from callguard.policy.keys import check_keys
from callguard.promptfile import languages as prompt_languages
from callguard.promptfile import load_prompts
from callguard.shipped import shipped

DEEPEST = 8
"""A longer chain of ``extends`` is a mistake."""
LEARNED = ".weights"
"""What the name of a file of learned weights ends in; others among the rules are TOML."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Digits = Annotated[str, Field(pattern=r"^[0-9]{2,20}$")]
Extension = Annotated[str, Field(pattern=r"^[0-9]{2,6}$")]
Seconds = Annotated[int, Field(ge=0, le=86_400)]
Severity = Annotated[int, Field(ge=0, le=3)]
Approvers = tuple[Name, ...]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Rung(_Part):
    announcement: Name
    gap_s: Seconds = 20
    automatic: bool = False
    approvers: Approvers = ()
    wait_s: Seconds = 20


class _Evidence(_Part):
    name: str = Field(min_length=1, max_length=80)
    measure: Measure
    kinds: tuple[Category, ...] = ()
    severity: Severity = 1
    count: int = Field(default=1, ge=1, le=100)
    within_s: Seconds = 60
    score: float = Field(default=0.0, ge=0, le=1)
    level: Severity = 1


class _Limit(_Part):
    name: str = Field(min_length=1, max_length=80)
    after_s: Seconds
    notice_before_s: Seconds = 300
    announcement: Name = "time-notice"
    automatic: bool = False
    ends: bool = False


class _Repeat(_Part):
    window_days: int = Field(default=30, ge=1, le=3650)
    count: int = Field(default=3, ge=0, le=1000)
    carry_rung: int = Field(default=0, ge=0, le=20)
    route: str = ""
    shared_numbers: tuple[Digits, ...] = ()


class _Exceptions(_Part):
    protected_numbers: tuple[Digits, ...] = ()
    protected_queues: tuple[str, ...] = ()
    relay_numbers: tuple[Digits, ...] = ()


class _Ending(_Part):
    announcement: Name = "closing"
    severity: Severity = 3
    automatic: bool = False
    approvers: Approvers = ()
    wait_s: Seconds = 20


class _Rest(_Part):
    min_s: Seconds = 60
    max_s: Seconds = 900
    after_flag: bool = True


class _Keeping(_Part):
    pre_roll_s: int = Field(default=60, ge=0, le=3600)
    post_roll_s: int | None = Field(default=None, ge=0, le=86_400)
    whole_call: bool = False
    days_default: int = Field(default=180, ge=1, le=36_500)
    days_dismissed: int = Field(default=30, ge=1, le=36_500)
    notice: bool = True
    days: dict[Category, Annotated[int, Field(ge=1, le=36_500)]] = {}


class _Keys(_Part):
    flag: str = ""
    unflag: str = ""
    warn: str = ""
    handover: str = ""
    help: str = ""
    end: str = ""
    why: str = ""
    play: str = ""
    music: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,40}$")] = ""
    tones: bool = True
    act: bool = True
    unflag_within_s: Seconds = 60


class _Destinations(_Part):
    handover: str = ""
    care: str = ""
    allowed: dict[Name, Extension] = {}


class _Asked(_Part):
    approvers: Approvers
    wait_s: Seconds = 20


class _Board(_Part):
    webhook_level: int = Field(default=2, ge=0, le=4)


class _Rights(_Part):
    listen: Approvers = ("supervisor",)
    whisper: Approvers = ("supervisor",)
    barge: Approvers = ("supervisor",)
    decide: Approvers = ("reviewer",)
    export: Approvers = ("reviewer",)
    hold: Approvers = ("reviewer",)


class _Rules(_Part):
    files: tuple[str, ...] = Field(min_length=1)
    off: tuple[str, ...] = ()
    severities: dict[str, Annotated[int, Field(ge=1, le=3)]] = {}


class _File(_Part):
    name: Name
    title: str = ""
    source: str = ""
    mode: Mode = Mode.OBSERVE
    languages: tuple[Literal["en", "ja"], ...] = Field(default=("en",), min_length=1)
    auto_flag: bool = False
    keys: _Keys = _Keys()
    ladder: tuple[_Rung, ...] = Field(default=(), max_length=20)
    evidence: tuple[_Evidence, ...] = ()
    limits: tuple[_Limit, ...] = ()
    ending: _Ending = _Ending()
    repeat: _Repeat = _Repeat()
    exceptions: _Exceptions = _Exceptions()
    rest: _Rest = _Rest()
    keeping: _Keeping = _Keeping()
    destinations: _Destinations = _Destinations()
    handover: _Asked | None = None
    advisers: _Asked = _Asked(approvers=("supervisor",))
    board: _Board = _Board()
    rights: _Rights = _Rights()
    rules: _Rules


@dataclass(frozen=True, slots=True)
class _Source:
    """One file of the chain: its path, text and values."""

    path: Path
    text: str
    values: dict[str, Any]


def load_policy(path: Path, *, queue: str = "") -> Policy:
    """Read, inherit, check and freeze a policy, with the overrides for ``queue`` where it has any.

    Raises SettingsError that names file, line and key of the first fault, and lists the others.
    """
    chain = _chain(path)
    merged: dict[str, Any] = {}
    for source in chain:
        own = {key: value for key, value in source.values.items() if key not in ("extends", "queue")}
        merged = _merged(merged, own)
    for source in chain:
        override = source.values.get("queue", {})
        if not isinstance(override, dict) or not all(isinstance(one, dict) for one in override.values()):
            raise SettingsError("is not a table of queues", where=_where(chain, ("queue",)), hint="write [queue.NAME]")
        merged = _merged(merged, override.get(queue, {}) if queue else {})
    try:
        read = _File.model_validate(merged)
    except ValidationError as error:
        raise _explained(error, chain) from None
    _check(read, chain)
    return _frozen(read, chain, queue)


def own_queues(path: Path) -> frozenset[str]:
    """The queues that a policy, or what it extends, has settings for. Raises SettingsError."""
    return frozenset(queue for source in _chain(path) for queue in source.values.get("queue", {}))


def load_rules(policy: Policy) -> RuleSet:
    """The policy's rules, compiled; those switched off left out, severities as the policy has them.

    Raises SettingsError naming the rule file or the rule.
    """
    return _compiled(policy.rules.files, policy.rules.off, policy.rules.severities, _marks(policy.rules.files))


@lru_cache(maxsize=16)
def _compiled(
    files: tuple[str, ...], off: tuple[str, ...], severities: tuple[tuple[str, int], ...], marks: tuple[int, ...]
) -> RuleSet:
    del marks  # changes when a file does, so that a reload compiles anew
    learned: dict[str, Learned] = {}
    for file in (file for file in files if file.endswith(LEARNED)):
        one = _learned(file)
        if one.language in learned:
            raise SettingsError(
                f"is the second file of weights for {one.language!r}",
                where=file,
                hint="name one of the two in [rules] files; callguard policy learn makes one of all your sentences",
            )
        learned[one.language] = one
    raw = raw_rules(
        [file for file in files if not file.endswith(LEARNED)],
        off=off,
        severities=dict(severities),
        beside=frozenset(rule.id for one in learned.values() for rule in one.rules.values()),
    )
    for one in learned.values():
        if one.language not in raw:
            raise SettingsError(
                f"the weights are for {one.language!r}, a language the policy has no rules for",
                where="rules.files",
                hint=f"add rules of that language, such as rules/{one.language}, or leave the weights out",
            )
    return compile_rules(raw, [one.chosen(frozenset(off), dict(severities)) for one in learned.values()])


def _learned(file: str) -> Learned:
    return read_learned(_text(Path(file)), where=file)


def raw_rules(
    files: Sequence[str],
    *,
    off: Sequence[str] = (),
    severities: Mapping[str, int] | None = None,
    beside: frozenset[str] = frozenset(),
) -> dict[str, Any]:
    """The rule files as ``compile_rules`` takes them, with the policy's choices in. Raises SettingsError.

    beside: ids of rules that are not in these files, but may be chosen as well.
    """
    raw = merge_tables(_toml(Path(file)).values for file in files)
    changed = severities or {}
    rules: list[dict[str, Any]] = [
        rule for table in raw.values() if isinstance(table, dict) for rule in table.get("rule", ())
    ]
    known = beside | {str(rule.get("id", "")) for rule in (*rules, *raw["measure"])}
    for name in (*off, *changed):
        if name not in known:
            raise SettingsError(f"there is no rule {name!r}", where="rules", hint="look into the rule files for ids")
    for table in raw.values():
        if isinstance(table, dict):
            table["rule"] = [
                {**rule, "severity": changed[rule["id"]]} if rule.get("id") in changed else rule
                for rule in table.get("rule", ())
            ]
    raw["off"] = [*raw["off"], *off]
    return raw


# reading


def _chain(path: Path) -> list[_Source]:
    """The file and what it extends, the farthest ancestor first."""
    chain: list[_Source] = []
    here: Path | None = path
    while here is not None:
        if any(one.path == here for one in chain) or len(chain) >= DEEPEST:
            raise SettingsError("extends itself, or too many others", where=str(here))
        source = _toml(here)
        chain.append(source)
        parent = source.values.get("extends")
        if parent is not None and not isinstance(parent, str):
            raise SettingsError("is not a file name", where=_where([source], ("extends",)))
        here = _beside(here, parent) if parent else None
    return chain[::-1]


def _beside(file: Path, name: str) -> Path:
    """A file named in another: beside it, else among the shipped ones."""
    beside = file.parent / name
    return beside if beside.exists() else shipped(f"policies/{name}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError("there is no such file", where=str(path), code="settings-missing") from None
    except UnicodeDecodeError:
        raise SettingsError("not UTF-8 text", where=str(path), code="settings-not-toml") from None
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror}", where=str(path), code="settings-missing") from None


def _toml(path: Path) -> _Source:
    text = _text(path)
    try:
        return _Source(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+)", str(error))
        place = f"{path}:{found.group(1)}" if found else str(path)
        reason = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise SettingsError(f"not TOML: {reason}", where=place, code="settings-not-toml") from None


def _merged(into: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(into)
    for key, value in new.items():
        old = out.get(key)
        out[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


# where things stand

_ARRAY = re.compile(r"^\s*\[\[\s*([A-Za-z0-9_.-]+)\s*\]\]")
_TABLE = re.compile(r'^\s*\[\s*([A-Za-z0-9_."-]+)\s*\]')
_KEY = re.compile(r'^\s*(?:"([^"]+)"|([A-Za-z0-9_-]+))\s*=')


def _lines(text: str) -> dict[tuple[str | int, ...], int]:
    """Path of each key, table and array element -> its line, from 1."""
    found: dict[tuple[str | int, ...], int] = {}
    counts: dict[str, int] = {}
    table: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if array := _ARRAY.match(line):
            name = array.group(1)
            counts[name] = counts.get(name, -1) + 1
            table = (*name.split("."), counts[name])
            found.setdefault(tuple(name.split(".")), number)
            found[table] = number
        elif head := _TABLE.match(line):
            table = tuple(head.group(1).replace('"', "").split("."))
            found[table] = number
        elif key := _KEY.match(line):
            found[(*table, key.group(1) or key.group(2))] = number
    return found


def _where(chain: Sequence[_Source], place: Sequence[str | int]) -> str:
    """``file:line: key`` of the nearest file that says anything about this place."""
    named = _spelled(place)
    for depth in range(len(place), 0, -1):
        for source in reversed(chain):
            lines = _lines(source.text)
            queues = [key for key in lines if key[:1] == ("queue",) and key[2:] == tuple(place[:depth])]
            line = lines.get(tuple(place[:depth])) or (lines[queues[0]] if queues else None)
            if line:
                return f"{source.path}:{line}: {named}"
    return f"{chain[-1].path}: {named}"


def _spelled(place: Sequence[str | int]) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


_HINTS = {
    "extra_forbidden": "take it out, or look for a slip in its spelling",
    "missing": "add it, or extend base.toml",
    "enum": "use one of the words named",
}


def _explained(error: ValidationError, chain: Sequence[_Source]) -> SettingsError:
    faults = [(_where(chain, one["loc"]), _plain(one["type"], one["msg"]), one["type"]) for one in error.errors()]
    where, text, kind = faults[0]
    more = "".join(f"\n{place}: {said}" for place, said, _ in faults[1:])
    return SettingsError(text + more, where=where, code="policy-wrong", hint=_HINTS.get(kind, ""))


def _plain(kind: str, message: str) -> str:
    return "there is no such key in a policy" if kind == "extra_forbidden" else message[:1].lower() + message[1:]


# checks that look at more than one place


def _check(read: _File, chain: Sequence[_Source]) -> None:
    def wrong(text: str, *place: str | int, hint: str = "") -> SettingsError:
        return SettingsError(text, where=_where(chain, place), code="policy-wrong", hint=hint)

    for trouble in check_keys(_keys(read.keys)):
        if trouble.fatal:
            raise wrong(trouble.text, "keys", trouble.key, hint=trouble.hint)
    allowed = read.destinations.allowed
    for key, name in (("handover", read.destinations.handover), ("care", read.destinations.care)):
        if name and name not in allowed:
            raise wrong(f"{name!r} is not on the list", "destinations", key, hint="add it to destinations.allowed")
    if read.repeat.route and read.repeat.route not in allowed:
        raise wrong(
            f"{read.repeat.route!r} is not on the list", "repeat", "route", hint="add it to destinations.allowed"
        )
    if read.rest.min_s > read.rest.max_s > 0:
        raise wrong("the least rest is longer than the longest", "rest", "min_s")
    if read.repeat.carry_rung > len(read.ladder):
        raise wrong("the ladder has fewer rungs", "repeat", "carry_rung")
    known = _texts(chain[-1].path, read.languages)
    spoken: list[tuple[str, tuple[str | int, ...]]] = [
        (rung.announcement, ("ladder", number, "announcement")) for number, rung in enumerate(read.ladder)
    ]
    spoken += [(limit.announcement, ("limits", number, "announcement")) for number, limit in enumerate(read.limits)]
    spoken.append((read.ending.announcement, ("ending", "announcement")))
    for name, place in spoken:
        for language in read.languages:
            texts = known.get(language)
            if texts is not None and name not in texts:
                raise wrong(
                    f"there is no announcement {name!r} in {language!r}", *place, hint="write it into prompts.toml"
                )


# freezing


def _frozen(read: _File, chain: Sequence[_Source], queue: str) -> Policy:
    base = chain[-1].path
    files = _rule_files(read.rules.files, chain)
    texts = _texts(base, read.languages)
    names = {rung.announcement for rung in read.ladder} | {limit.announcement for limit in read.limits}
    names.add(read.ending.announcement)
    announcements = tuple(
        Announcement(
            name=name,
            texts=tuple(
                (language, (texts.get(language) or {}).get(name, ""))
                for language in read.languages
                if (texts.get(language) or {}).get(name)
            ),
        )
        for name in sorted(names)
    )
    return Policy(
        name=read.name,
        hash=_hash(read, files, announcements, queue),
        mode=read.mode,
        languages=read.languages,
        queue=queue,
        title=read.title,
        source=read.source,
        auto_flag=read.auto_flag,
        ladder=tuple(
            Rung(
                number=number,
                announcement=rung.announcement,
                gap_s=rung.gap_s,
                consent=_consent(rung.approvers, rung.wait_s),
                automatic=rung.automatic,
            )
            for number, rung in enumerate(read.ladder, 1)
        ),
        announcements=announcements,
        evidence=tuple(
            Evidence(
                name=one.name,
                measure=one.measure,
                kinds=frozenset(one.kinds),
                severity=one.severity,
                count=one.count,
                within_s=one.within_s,
                score=one.score,
                level=one.level,
            )
            for one in read.evidence
        ),
        limits=tuple(TimeLimit(**one.model_dump()) for one in read.limits),
        repeat=Repeat(
            window_days=read.repeat.window_days,
            count=read.repeat.count,
            carry_rung=read.repeat.carry_rung,
            route=read.repeat.route,
            shared_numbers=frozenset(read.repeat.shared_numbers),
        ),
        exceptions=Exceptions(
            protected_numbers=frozenset(read.exceptions.protected_numbers),
            protected_queues=frozenset(read.exceptions.protected_queues),
            relay_numbers=frozenset(read.exceptions.relay_numbers),
        ),
        ending=Ending(
            announcement=read.ending.announcement,
            severity=read.ending.severity,
            automatic=read.ending.automatic,
            consent=_consent(read.ending.approvers, read.ending.wait_s),
        ),
        rest=Rest(min_s=read.rest.min_s, max_s=read.rest.max_s, after_flag=read.rest.after_flag),
        keeping=Keeping(
            pre_roll_s=read.keeping.pre_roll_s,
            post_roll_s=read.keeping.post_roll_s,
            whole_call=read.keeping.whole_call,
            days=tuple(sorted(read.keeping.days.items())),
            days_default=read.keeping.days_default,
            days_dismissed=read.keeping.days_dismissed,
            notice=read.keeping.notice,
        ),
        keys=_keys(read.keys),
        destinations=Destinations(
            allowed=tuple(sorted(read.destinations.allowed.items())),
            handover=read.destinations.handover,
            care=read.destinations.care,
        ),
        handover_consent=_consent(read.handover.approvers, read.handover.wait_s) if read.handover else None,
        advisers=Consent(approvers=read.advisers.approvers, wait_s=read.advisers.wait_s),
        webhook_level=read.board.webhook_level,
        rights=Rights(**read.rights.model_dump()),
        rules=RuleChoice(files=files, off=read.rules.off, severities=tuple(sorted(read.rules.severities.items()))),
    )


def _consent(approvers: Approvers, wait_s: int) -> Consent | None:
    return Consent(approvers=approvers, wait_s=wait_s) if approvers else None


def _keys(read: _Keys) -> KeyMap:
    return KeyMap(
        digits=tuple((key, getattr(read, key.value)) for key in Key if getattr(read, key.value)),
        play=read.play,
        music=read.music,
        tones=read.tones,
        act=read.act,
        unflag_within_s=read.unflag_within_s,
    )


def _rule_files(names: Sequence[str], chain: Sequence[_Source]) -> tuple[str, ...]:
    """Files, and the files of folders by name, in reading order. Beside the policy first, else shipped."""
    found: list[str] = []
    for name in names:
        place = _beside(chain[-1].path, name)
        files = sorted([*place.glob("*.toml"), *place.glob("*" + LEARNED)]) if place.is_dir() else [place]
        if not files or not all(file.is_file() for file in files):
            raise SettingsError(
                f"there are no rules {name!r}",
                where=_where(chain, ("rules", "files")),
                code="policy-wrong",
                hint="name a file or a folder beside the policy, or a shipped one",
            )
        found += [str(file) for file in files]
    return tuple(found)


def _texts(policy: Path, wanted: Sequence[str]) -> dict[str, dict[str, str] | None]:
    """Announcements' words by language: prompts beside the policy's folder, else the shipped ones; None for none."""
    beside = policy.parent.parent / "prompts"
    root = beside if beside.is_dir() else shipped("prompts")
    there = prompt_languages(root)
    return {
        language: {one.name: one.text for one in load_prompts(root, language).prompts} if language in there else None
        for language in wanted
    }


def _marks(files: Sequence[str]) -> tuple[int, ...]:
    return tuple(Path(file).stat().st_mtime_ns for file in files)


def _hash(read: _File, files: Sequence[str], announcements: Sequence[Announcement], queue: str) -> str:
    digest = hashlib.sha256()
    body = json.dumps(read.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
    digest.update(f"{queue}\n{body}\n".encode())
    for announcement in announcements:
        digest.update(f"{announcement.name}\n{announcement.texts!r}\n".encode())
    for file in files:
        digest.update(Path(file).read_bytes() + b"\n")
    return digest.hexdigest()
