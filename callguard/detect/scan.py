"""From what is heard on a call to findings. ``scan`` is pure: events in, findings out, what is remembered beside.

A finding is given once as TENTATIVE, from words that may still change, and once as COMMITTED. Only committed words
are weighed against the recognizer's doubt to the full; one unclear word never makes a finding by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar, assert_never

from callguard.detect.find import Match, find, says_notice
from callguard.detect.measures import Measure, Measured
from callguard.detect.memory import MOST_TOPICS, Memory, Tail, Told, Topic
from callguard.detect.rules import LanguageRules, RuleSet
from callguard.detect.topics import content_words
from callguard.detect.verdict import SURE_ENOUGH
from callguard.model.finding import Finding, Stage
from callguard.model.ids import LegId, Role
from callguard.model.key import Elapsed
from callguard.model.rule import CallFacts
from callguard.model.sound import Level, Overlap
from callguard.model.words import Readings, Transcript, Word

Heard = Transcript | Readings | Level | Overlap | Elapsed | CallFacts

TAIL_WORDS = 8
"""Words kept from an utterance's end, for what is said across a pause."""
TAIL_MS = 3000
"""A pause longer than this ends what was being said."""
TAILS = 3
"""Ends of so many utterances are kept: other readings of one come when the next may be over."""
CLEAR = 0.6
"""Mean probability of the words under a match from which the recognizer's doubt no longer lowers the score."""
CLIPPED_MUCH = 0.05
"""Share of clipped samples from which loudness says nothing."""
SHARE_FROM_MS = 120_000
"""Speech needed before the caller's share means anything."""

OTHER_READING = 0.8
"""What a match is worth in a reading of the sound that is not the likeliest one."""
BRIEF = MappingProxyType({"en": 1, "ja": 4})
"""So many words (in Japanese: letters, shi-ne, dakasete) in other readings accuse nobody: in harmless sentences
heard unclearly, "kill" and "die" came up more than once."""
TELLING = MappingProxyType({"en": 4, "ja": 8})
"""So many words (in Japanese: letters) that a rule fits are hardly heard by chance: one reading suffices. With base and
ten drawn readings, of 248 English sentences 228 were found with two readings alone and 235 with this, of 248 Japanese
ones 201 and 206; false alarms 1 of 160 and 2 of 160 both ways."""
IN_ANOTHER_READING = "Heard in another reading of the same sound."

__all__ = ["Heard", "Memory", "scan"]


def scan(memory: Memory, events: Iterable[Heard], rules: RuleSet) -> tuple[Memory, list[Finding]]:
    """What these events add. The order of events is the order of the call."""
    findings: list[Finding] = []
    for event in events:
        match event:
            case Transcript():
                memory, found = _transcript(memory, event, rules)
                findings.extend(found)
            case Readings():
                memory, found = _readings(memory, event, rules)
                findings.extend(found)
            case Level():
                memory = _level(memory, event)
            case Overlap():
                memory = _overlap(memory, event)
            case Elapsed(at_ms=at_ms):
                memory = replace(memory, now_ms=max(memory.now_ms, at_ms))
            case CallFacts():
                memory = replace(memory, facts=event, now_ms=max(memory.now_ms, event.at_ms))
            case _:
                assert_never(event)
        memory, found = _measures(memory, rules)
        findings.extend(found)
    return memory, findings


def _transcript(memory: Memory, heard: Transcript, rules: RuleSet) -> tuple[Memory, list[Finding]]:
    memory = replace(memory, roles=_with(memory.roles, heard.leg, heard.role), now_ms=max(memory.now_ms, heard.end_ms))
    spoken = rules.languages.get(heard.language)
    if spoken is None:
        return memory, []
    if heard.role is Role.AGENT and heard.committed and says_notice(heard.text, spoken):
        memory = replace(memory, notice_ms=heard.end_ms)
    if heard.closed:
        memory, findings = _judge(memory, heard, heard.committed, spoken, rules)
        return _close(memory, heard), findings
    firm = sum(len(word.text) for word in heard.committed)
    return _judge(memory, heard, (*heard.committed, *heard.tentative), spoken, rules, firm=firm)


def _readings(memory: Memory, event: Readings, rules: RuleSet) -> tuple[Memory, list[Finding]]:
    """Where nothing is found in what was likeliest said: what two other readings say, each in its words.

    A few words in one reading accuse nobody, nor does one word in several; a call for care needs neither many nor two.
    The words told are the likelier ones.
    """
    heard = event.transcript
    spoken = rules.languages.get(heard.language)
    if spoken is None:
        return memory, []
    if any(told.utterance == heard.utterance and told.stage is Stage.COMMITTED for told in memory.told):
        return memory, []
    accused, weight = (memory, list[Finding]()), 0
    for words in event.readings:
        after, found = _judge(memory, heard, words, spoken, rules, other=True)
        found = [
            replace(one, why=f"{one.why} {IN_ANOTHER_READING}".strip())
            for one in found
            if one.category.is_care or _length(one, heard) > BRIEF[heard.language]
        ]
        if any(one.category.is_care for one in found):
            return after, found
        if found:
            weight += 2 if any(_length(one, heard) >= TELLING[heard.language] for one in found) else 1
            accused = accused if accused[1] else (after, found)
    return accused if weight >= 2 else (memory, [])


def _length(finding: Finding, heard: Transcript) -> int:
    """How much a finding rests on, in words; in Japanese in letters."""
    return len(finding.words.strip()) if heard.language == "ja" else len(finding.words.split())


def _judge(
    memory: Memory,
    heard: Transcript,
    words: tuple[Word, ...],
    spoken: LanguageRules,
    rules: RuleSet,
    *,
    firm: int | None = None,
    other: bool = False,
) -> tuple[Memory, list[Finding]]:
    """Findings in these words. firm: so many characters of a growing utterance are committed, None where it is over.

    What touches the end of a growing utterance stays tentative, whatever is committed: the next word may turn it.
    other: another reading of the sound than the likeliest, which alone is weighed as a whole (``find``): of ten garbled
    ones some always read like something.
    """
    if not words:
        return memory, []
    before = _tail_of(memory, heard)
    text = "".join(word.text for word in words)
    worth = OTHER_READING if other else 1.0
    line = [(match, 0) for match in find(text, spoken, role=heard.role, whole=firm is None and not other)]
    if before is not None:
        lead = _open_ended(before.text) + (" " if spoken.language == "en" else "")
        joined = find(lead + text.lstrip(), spoken, role=heard.role, whole=False)
        shift = len(lead) - (len(text) - len(text.lstrip()))
        line += [(match, shift) for match in joined if match.start < len(lead) < match.end]
    firm = len(text) if firm is None else min(firm, len(_open_ended(text)) - 1)
    findings: list[Finding] = []
    for match, shift in line:
        stage = Stage.COMMITTED if match.end - shift <= firm else Stage.TENTATIVE
        finding = _finding(heard, words, replace(match, score=match.score * worth), shift, before, stage)
        told = Told(
            rule=finding.rule,
            utterance=heard.utterance,
            stage=stage,
            start_ms=finding.start_ms,
            end_ms=finding.end_ms,
        )
        if finding.score < SURE_ENOUGH or _already(memory.told, told):
            continue
        memory = replace(memory, told=(*memory.told, told))
        findings.append(_raised(finding, memory, rules))
    return memory, findings


def _finding(
    heard: Transcript, words: Sequence[Word], match: Match, shift: int, before: Tail | None, stage: Stage
) -> Finding:
    under = _under(words, match.start - shift, match.end - shift)
    start_ms = before.start_ms if before is not None and match.start < shift else under[0].start_ms
    clear = _clear(under)
    if before is not None and match.start < shift:
        clear = min(clear, before.probability)
    return Finding(
        rule=match.rule.id,
        category=match.rule.category,
        severity=match.rule.severity,
        leg=heard.leg,
        role=heard.role,
        start_ms=start_ms,
        end_ms=under[-1].end_ms,
        words=match.words,
        stage=stage,
        score=round(match.score * min(1.0, clear / CLEAR), 3),
        utterance=heard.utterance,
        why=match.rule.why,
    )


def _under(words: Sequence[Word], start: int, end: int) -> Sequence[Word]:
    """The words under the characters from start up to end of their joined text."""
    found: list[Word] = []
    at = 0
    for word in words:
        if at < end and start < at + len(word.text):
            found.append(word)
        at += len(word.text)
    return found or words[-1:]


def _clear(words: Sequence[Word]) -> float:
    """How clear these words are: their mean, but never far above the most doubtful of them.

    A match of many words rests on its rarest one, and that is the one a recognizer doubts.
    """
    probabilities = [word.probability for word in words]
    return min(sum(probabilities) / len(probabilities), min(probabilities) + 0.25)


def _already(told: Sequence[Told], new: Told) -> bool:
    """Told before at this stage or a firmer one, about words that overlap in time."""
    return any(
        held.rule == new.rule
        and held.utterance == new.utterance
        and (held.stage is new.stage or held.stage is Stage.COMMITTED)
        and (new.stage is Stage.TENTATIVE or (held.start_ms < new.end_ms and new.start_ms < held.end_ms))
        for held in told
    )


def _tail_of(memory: Memory, heard: Transcript) -> Tail | None:
    """The end of the utterance before this one, where it still belongs to what is said now."""
    earlier = [tail for tail in memory.tails.get(heard.leg, ()) if tail.start_ms < heard.start_ms]
    if not earlier or heard.start_ms - earlier[-1].end_ms > TAIL_MS:
        return None
    return earlier[-1]


def _open_ended(text: str) -> str:
    return text.rstrip(" .。…,、?!？！")


def _close(memory: Memory, heard: Transcript) -> Memory:
    """An utterance is over: keep its end, and weigh whether its content was said before."""
    if not heard.committed:
        return memory
    last = heard.committed[-TAIL_WORDS:]
    tail = Tail(
        utterance=heard.utterance,
        text="".join(word.text for word in last).strip(),
        start_ms=last[0].start_ms,
        end_ms=heard.end_ms,
        probability=_clear(last),
    )
    spoken_ms = memory.talk_ms.get(heard.leg, 0) + max(0, heard.end_ms - heard.start_ms)
    memory = replace(
        memory,
        tails=_with(memory.tails, heard.leg, (*memory.tails.get(heard.leg, ()), tail)[-TAILS:]),
        talk_ms=_with(memory.talk_ms, heard.leg, spoken_ms),
    )
    return _topic(memory, heard) if heard.role is Role.CALLER else memory


def _topic(memory: Memory, heard: Transcript) -> Memory:
    words = content_words(heard.text, heard.language)
    if len(words) < 3:
        return memory
    for number, topic in enumerate(memory.topics):
        if 2 * len(topic.words & words) >= min(len(topic.words), len(words)) + 1:
            again = replace(topic, last_ms=heard.end_ms, times=topic.times + 1)
            topics = (*memory.topics[:number], again, *memory.topics[number + 1 :])
            longest = heard.end_ms - topic.first_ms if again.times > 2 else 0
            return replace(memory, topics=topics, demand_ms=max(memory.demand_ms, longest))
    new = Topic(words=words, first_ms=heard.start_ms, last_ms=heard.end_ms)
    return replace(memory, topics=(*memory.topics, new)[-MOST_TOPICS:])


def _level(memory: Memory, level: Level) -> Memory:
    memory = replace(memory, now_ms=max(memory.now_ms, level.end_ms))
    if memory.roles.get(level.leg, Role.CALLER) is not Role.CALLER or level.clipped > CLIPPED_MUCH:
        return memory
    loud = (level.utterance, level.end_ms, level.baseline_db)
    return replace(memory, loud=(*memory.loud, loud)[-20:])


def _overlap(memory: Memory, overlap: Overlap) -> Memory:
    memory = replace(memory, now_ms=max(memory.now_ms, overlap.end_ms))
    if memory.roles.get(overlap.interrupter) is not Role.CALLER:
        return memory
    return replace(memory, interruptions=(*memory.interruptions, overlap.start_ms)[-200:])


def _over(measure: Measure, memory: Memory, at_ms: int) -> str:
    """What the measure says now in one sentence, "" while its limit is not passed."""
    match measure.kind:
        case Measured.TIME_ON_LINE:
            over = at_ms >= measure.over * 1000
            return f"The call has lasted {at_ms // 60_000} minutes." if over else ""
        case Measured.SAME_DEMAND:
            over = memory.demand_ms >= measure.over * 1000
            return f"The same demand has been repeated for {memory.demand_ms // 60_000} minutes." if over else ""
        case Measured.CALLS:
            if memory.facts is None or not memory.facts.countable:
                return ""
            calls = memory.facts.earlier_calls + 1
            return f"This is call {calls} from the same number." if calls >= measure.over else ""
        case Measured.LOUD:
            near = [db for _, end, db in memory.loud if abs(at_ms - end) <= measure.window_s * 1000]
            top = max(near, default=0.0)
            return f"Spoken {top:.0f} dB above the caller's own earlier speech." if top >= measure.over else ""
        case Measured.INTERRUPTIONS:
            times = sum(1 for at in memory.interruptions if at_ms - at <= measure.window_s * 1000)
            return f"The caller interrupted {times} times." if times >= measure.over else ""
        case Measured.SHARE:
            whole = sum(memory.talk_ms.values())
            own = sum(ms for leg, ms in memory.talk_ms.items() if memory.roles.get(leg) is Role.CALLER)
            over = whole >= SHARE_FROM_MS and own / whole >= measure.over
            return f"The caller has {100 * own // whole} % of all speech." if over else ""
        case _:
            assert_never(measure.kind)


def _raised(finding: Finding, memory: Memory, rules: RuleSet) -> Finding:
    """A word finding of severity 1 becomes 2 when a measure supports it. Threats to life are never made by measures."""
    if finding.role is not Role.CALLER or finding.severity != 1:
        return finding
    said = [
        _over(measure, memory, finding.end_ms)
        for measure in rules.measures
        if not measure.alone and not (measure.needs_notice and memory.notice_ms is None)
    ]
    said = [sentence for sentence in said if sentence]
    if not said:
        return finding
    return replace(finding, severity=2, why=" ".join([finding.why, *said]).strip())


def _measures(memory: Memory, rules: RuleSet) -> tuple[Memory, list[Finding]]:
    findings: list[Finding] = []
    caller = memory.caller
    if caller is None:
        return memory, findings
    for measure in rules.measures:
        waits = measure.needs_notice and memory.notice_ms is None
        if not measure.alone or waits or measure.rule.id in memory.fired:
            continue
        sentence = _over(measure, memory, memory.now_ms)
        if not sentence:
            continue
        memory = replace(memory, fired=memory.fired | {measure.rule.id})
        findings.append(
            Finding(
                rule=measure.rule.id,
                category=measure.rule.category,
                severity=measure.rule.severity,
                leg=caller,
                role=Role.CALLER,
                start_ms=memory.now_ms,
                end_ms=memory.now_ms,
                words="",
                stage=Stage.COMMITTED,
                score=measure.rule.score,
                why=sentence,
            )
        )
    return memory, findings


Value = TypeVar("Value")


def _with(table: Mapping[LegId, Value], leg: LegId, value: Value) -> Mapping[LegId, Value]:
    return MappingProxyType({**table, leg: value})
