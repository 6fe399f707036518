"""The policy as everyone reads it: what may be done to a caller, by whom, when, and what is kept.

A policy is one file after inheritance, checked and frozen. ``hash`` names exactly this content, the rule files'
and the announcements' texts included; it is stored with every decision.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from callguard.model.finding import Category
from callguard.model.key import Key


class Mode(StrEnum):
    """What the machine may do by itself: OBSERVE shows and records, ASSIST asks a person, ACT acts by the ladder."""

    OBSERVE = "observe"
    ASSIST = "assist"
    ACT = "act"


class Measure(StrEnum):
    """What enough evidence leads to, as far as the mode lets it."""

    NOTICE = "notice"
    FLAG = "flag"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What is said to the caller. ``texts`` pairs a language with its words; the sound has the same name."""

    name: str
    texts: tuple[tuple[str, str], ...] = ()

    def text(self, language: str) -> str:
        """The words in this language, "" where there are none."""
        return next((text for code, text in self.texts if code == language), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """Who must say yes first.

    approvers: asked in order; an unanswered request goes to the next one. Names of roles or people at the desk.
    wait_s: how long each is waited for.
    """

    approvers: tuple[str, ...]
    wait_s: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One step of the ladder.

    number: counts from 1.
    gap_s: least time after the warning before it was heard.
    consent: who must approve, None where the agent's key is enough.
    automatic: in mode ACT the machine may play it by itself.
    """

    number: int
    announcement: str
    gap_s: int = 20
    consent: Consent | None = None
    automatic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How much must be heard before a measure: ``count`` utterances within ``within_s``.

    kinds: which findings count, empty for all.
    severity: findings of at least this severity count.
    score: findings at least this sure count.
    level: what the board shows (0 quiet, 1 look, 2 urgent, 3 now).
    """

    name: str
    measure: Measure
    kinds: frozenset[Category] = frozenset()
    severity: int = 1
    count: int = 1
    within_s: int = 60
    score: float = 0.0
    level: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimit:
    """How long a call may last before people are told, and before the agent may end it.

    notice_before_s: how long before the limit the caller is told (mode ACT and ``automatic``), people are always told.
    announcement: what the caller hears then.
    ends: past the limit the agent's END key is allowed.
    """

    name: str
    after_s: int
    notice_before_s: int = 300
    announcement: str = "time-notice"
    automatic: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """Callers who call again and again. Withheld, rewritten and shared numbers are never counted as one person.

    window_days: how far back calls count.
    count: from this many earlier calls on people are told.
    carry_rung: at most this rung of an earlier call is where the next call begins; 0 begins anew.
    route: name of the destination that repeated callers are offered at once, "" for the usual queue.
    shared_numbers: numbers behind which many people are (a company's switchboard), digits only.
    """

    window_days: int = 30
    count: int = 3
    carry_rung: int = 0
    route: str = ""
    shared_numbers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceptions:
    """Where no measure is taken by a machine, nor by the warn and end keys. Numbers are digits only."""

    protected_numbers: frozenset[str] = frozenset()
    protected_queues: frozenset[str] = frozenset()
    relay_numbers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """When a call may be ended.

    severity: a committed finding this severe allows the END key before the ladder is done; 0 never.
    automatic: in mode ACT, abuse that goes on after the last rung ends the call.
    """

    announcement: str = "closing"
    severity: int = 3
    automatic: bool = False
    consent: Consent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """The agent's pause in the queue after a hard call; ``max_s`` 0 switches it off."""

    min_s: int = 60
    max_s: int = 900
    after_flag: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What is kept of a flagged call, and how long.

    pre_roll_s: sound from before the flag.
    post_roll_s: sound after it, None to the call's end.
    whole_call: keep from the call's first frame instead of the pre-roll, as far as memory holds it.
    days: retention per kind; the longest of a case's kinds wins.
    days_default: for kinds not named, and for cases without a kind.
    days_dismissed: for cases the desk dismissed.
    notice: the caller hears the recording notice before the first tap; False where another notice is given already.
    """

    pre_roll_s: int = 60
    post_roll_s: int | None = None
    whole_call: bool = False
    days: tuple[tuple[Category, int], ...] = ()
    days_default: int = 180
    days_dismissed: int = 30
    notice: bool = True

    def days_for(self, kinds: frozenset[Category]) -> int:
        """Retention of a case with these kinds, in days."""
        known = dict(self.days)
        return max((known.get(kind, self.days_default) for kind in kinds), default=self.days_default)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyMap:
    """Which digits do what.

    digits: per key; a key without digits is off.
    play: the internal digits by which the daemon starts an announcement. A person who presses them gets nothing.
    music: class of Asterisk's hold music that the agent hears while the caller hears an announcement, "" for silence.
    tones: the agent hears a tone after a key.
    act: the agent's warn, hand-over and end keys work in every mode, since a person decides.
    unflag_within_s: a flag can be taken back by its own agent this long.
    """

    digits: tuple[tuple[Key, str], ...] = ()
    play: str = ""
    music: str = ""
    tones: bool = True
    act: bool = True
    unflag_within_s: int = 60

    def of(self, key: Key) -> str:
        """The digits of this key, "" where it is off."""
        return next((digits for known, digits in self.digits if known is key), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Where a caller may be handed to, by name. Nothing outside this list is ever dialled.

    allowed: name to extension, digits only, in the transfer context without outbound routes.
    handover: name used by the hand-over key.
    care: name used by the hand-over key where life or accommodation is at stake, "" for the same.
    """

    allowed: tuple[tuple[str, str], ...] = ()
    handover: str = ""
    care: str = ""

    def extension(self, name: str) -> str:
        """The extension under this name, "" where the list lacks it."""
        return next((extension for known, extension in self.allowed if known == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChoice:
    """Which rules judge.

    files: rule files as paths, in reading order.
    off: rules switched off, by id.
    severities: rules whose severity the policy changes.
    """

    files: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    severities: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Which roles may do what at the desk and on the board."""

    listen: tuple[str, ...] = ("supervisor",)
    whisper: tuple[str, ...] = ("supervisor",)
    barge: tuple[str, ...] = ("supervisor",)
    decide: tuple[str, ...] = ("reviewer",)
    export: tuple[str, ...] = ("reviewer",)
    hold: tuple[str, ...] = ("reviewer",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A whole policy, for one queue or for all.

    hash: SHA-256 over everything that decides, hexadecimal.
    queue: the queue whose overrides are in it, "" for the general one.
    source: where a profile's lines come from, "" for the house's own.
    auto_flag: enough evidence for FLAG raises a flag by policy also in the modes OBSERVE and ASSIST.
    handover_consent: who must approve a hand-over, None where the agent's key is enough.
    advisers: who is asked in mode ASSIST when the machine suggests a measure.
    webhook_level: notices of at least this level go out by webhook too; 4 sends none.
    """

    name: str
    hash: str
    mode: Mode = Mode.OBSERVE
    languages: tuple[str, ...] = ("en",)
    queue: str = ""
    title: str = ""
    source: str = ""
    auto_flag: bool = False
    ladder: tuple[Rung, ...] = ()
    announcements: tuple[Announcement, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    limits: tuple[TimeLimit, ...] = ()
    repeat: Repeat = field(default_factory=Repeat)
    exceptions: Exceptions = field(default_factory=Exceptions)
    ending: Ending = field(default_factory=Ending)
    rest: Rest = field(default_factory=Rest)
    keeping: Keeping = field(default_factory=Keeping)
    keys: KeyMap = field(default_factory=KeyMap)
    destinations: Destinations = field(default_factory=Destinations)
    handover_consent: Consent | None = None
    advisers: Consent = field(default_factory=lambda: Consent(approvers=("supervisor",)))
    webhook_level: int = 2
    rights: Rights = field(default_factory=Rights)
    rules: RuleChoice = field(default_factory=RuleChoice)

    def announcement(self, name: str) -> Announcement | None:
        """The announcement of this name, or None."""
        return next((one for one in self.announcements if one.name == name), None)
