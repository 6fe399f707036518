"""One utterance against one language's rules: which rules match where, after guards and decoys had their say.

Beside them, what labelled sentences taught (``learned``): it doubts rules in harmless talk, and finds where none does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from callguard.detect.lattice import Lattice
from callguard.detect.learned import LEAST, Learned, Weighed, grams
from callguard.detect.pattern import Pattern
from callguard.detect.rules import CompiledRule, Guard, LanguageRules
from callguard.model.ids import Role
from callguard.model.rule import Rule

SOUND_DISCOUNT = 0.8
"""What a match is worth that rests on words which only sound like the listed ones."""
GRAVE_MARGIN = 1.0
"""So much further below the line of doubt, in log odds, a rule of severity 3 is still believed."""
FAR_OVER = 1.0
"""So far above its line, in log odds, an utterance may be of more than severity 1."""
CARE_MARGIN = 2.0
"""So far below the line of care, in log odds, words that sound like a call for care are still looked for."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A rule and where it matched: the characters of the text from ``start`` up to ``end``."""

    rule: Rule
    start: int
    end: int
    words: str
    score: float


def find(text: str, rules: LanguageRules, *, role: Role | None = Role.CALLER, whole: bool = True) -> list[Match]:
    """What is found in a text, gravest first; of one category's overlapping matches only the gravest stays.

    Words that merely sound like listed ones are tried only where the words as they stand give nothing.
    whole: the utterance is over, so that it may be weighed as a whole where no rule matched.
    """
    written = rules.lattice(text, by_sound=False)
    found, undone = _matches(written, rules, role, worth=1.0)
    learned = rules.learned if role in (None, Role.CALLER) else None
    if learned is None or written.size < LEAST[learned.language]:
        return _gravest(found or _by_sound(text, written, rules, role))
    pieces = grams(written, learned.language)
    weighed = learned.weigh(pieces)
    if not found and _could_be(weighed, learned):
        found = _by_sound(text, written, rules, role)
    found = [match for match in found if _believed(match, weighed, learned)]
    if whole and not any(match.rule.category.is_care for match in found):
        found = [*found, *_as_whole(pieces, weighed, written, learned, settled=undone or bool(found))]
    return _gravest(found)


def says_notice(text: str, rules: LanguageRules) -> bool:
    """Whether the text holds one of the language's notice patterns."""
    lattice = rules.lattice(text, by_sound=False)
    return any(pattern.spans(lattice) for pattern in rules.notice)


def _by_sound(text: str, written: Lattice, rules: LanguageRules, role: Role | None) -> list[Match]:
    heard = rules.lattice(text, by_sound=True)
    return _matches(heard, rules, role, worth=SOUND_DISCOUNT)[0] if heard.arcs != written.arcs else []


def _believed(match: Match, weighed: Weighed, learned: Learned) -> bool:
    """Whether a rule's match stands: it is not in talk that reads harmless as a whole. Care is always believed."""
    margin = GRAVE_MARGIN if match.rule.severity > 2 else 0.0
    return match.rule.category.is_care or weighed.abuse >= learned.doubted - margin


def _could_be(weighed: Weighed, learned: Learned) -> bool:
    """Whether a match by sound might be believed and is worth looking for: most talk is harmless and saves it."""
    return weighed.abuse >= learned.doubted or weighed.care >= learned.care - CARE_MARGIN


def _as_whole(pieces: set[str], weighed: Weighed, lattice: Lattice, learned: Learned, *, settled: bool) -> list[Match]:
    """What the utterance as a whole comes to, shown by the words that weighed most. settled: rules found abuse, or
    saw it and a guard told them that it is none (said of oneself, denied, reported); then care alone is looked for.

    At its line it is just a finding, and none where it was heard unclearly.
    """
    care = weighed.care >= learned.care
    over = weighed.care - learned.care if care else weighed.abuse - learned.alone
    if over < 0 or (settled and not care):
        return []
    kind, severity = learned.kind(pieces, care=care)
    rule = learned.rules.get(kind)
    if rule is None:
        return []
    if rule.severity == 1 and over >= FAR_OVER:
        rule = replace(rule, severity=severity)
    score = round(0.5 + 0.45 * math.tanh(over / 2), 3)
    return [_match(rule, lattice, learned.telling(lattice, care=care), score)]


def _matches(lattice: Lattice, rules: LanguageRules, role: Role | None, *, worth: float) -> tuple[list[Match], bool]:
    """What the rules match, and whether a guard made a match harmless."""
    tried: set[tuple[int, int]] = set()
    present = lattice.present
    for symbol in present:
        for besides, pattern in rules.by_anchor.get(symbol, ()):
            if not besides.isdisjoint(present):
                tried.add(pattern)
    guarded: dict[str, list[Span]] = {}
    found: list[Match] = []
    undone = False
    for number, place in sorted(tried):
        compiled = rules.rules[number]
        if compiled.rule.speaker is not None and role is not compiled.rule.speaker:
            continue
        for start, end in compiled.patterns[place].spans(lattice):
            if not all(any(one.spans(lattice) for one in group) for group in compiled.also):
                break
            if _is_guarded(compiled, lattice, (start, end), guarded):
                undone = True
            else:
                found.append(_match(compiled.rule, lattice, (start, end), compiled.rule.score * worth))
    return found, undone


def _match(rule: Rule, lattice: Lattice, span: Span, score: float) -> Match:
    first, last = lattice.chars[span[0]][0], lattice.chars[span[1] - 1][1]
    return Match(rule=rule, start=first, end=last, words=lattice.text[first:last].strip(), score=score)


def _is_guarded(compiled: CompiledRule, lattice: Lattice, span: Span, guarded: dict[str, list[Span]]) -> bool:
    for guard in compiled.guards:
        spans = guarded.get(guard.name)
        if spans is None:
            spans = [hit for pattern in guard.patterns for hit in _guard_spans(pattern, lattice)]
            guarded[guard.name] = spans
        if any(_undoes(guard, hit, span, lattice) for hit in spans):
            return True
    return False


def _guard_spans(pattern: Pattern, lattice: Lattice) -> list[Span]:
    if lattice.present.isdisjoint(pattern.anchors):
        return []
    return pattern.spans(lattice, within_words=True)


def _undoes(guard: Guard, hit: Span, span: Span, lattice: Lattice) -> bool:
    match guard.scope:
        case "before":
            return hit[0] < span[0] and span[0] - hit[1] <= guard.within and _together(hit[1], span[0], lattice)
        case "after":
            return hit[1] > span[1] and hit[0] - span[1] <= guard.within and _together(span[1], hit[0], lattice)
        case "near":
            apart = max(span[0] - hit[1], hit[0] - span[1])
            return apart <= guard.within and _together(min(hit[1], span[1]), max(hit[0], span[0]), lattice)
        case "inside":
            return span[0] <= hit[0] and hit[1] <= span[1]
        case "covers":
            return hit[0] < span[1] and span[0] < hit[1]
        case _:
            return True


def _together(left: int, right: int, lattice: Lattice) -> bool:
    """No sentence ends between two positions."""
    return not any(left <= edge <= right for edge in lattice.hard if 0 < edge < lattice.size)


def _gravest(matches: list[Match]) -> list[Match]:
    kept: list[Match] = []
    for match in sorted(matches, key=lambda m: (-m.rule.severity, m.start - m.end, m.rule.id)):
        if not any(
            held.rule.category is match.rule.category and held.start < match.end and match.start < held.end
            for held in kept
        ):
            kept.append(match)
    return kept
