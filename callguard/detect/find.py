"""One utterance against one language's rules: which rules match where, after guards and decoys had their say."""

from __future__ import annotations

from dataclasses import dataclass

from callguard.detect.lattice import Lattice
from callguard.detect.pattern import Pattern
from callguard.detect.rules import CompiledRule, Guard, LanguageRules
from callguard.model.ids import Role
from callguard.model.rule import Rule

SOUND_DISCOUNT = 0.8
"""What a match is worth that rests on words which only sound like the listed ones."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A rule and where it matched: the characters of the text from ``start`` up to ``end``."""

    rule: Rule
    start: int
    end: int
    words: str
    score: float


def find(text: str, rules: LanguageRules, *, role: Role | None = Role.CALLER) -> list[Match]:
    """What the rules find in a text, gravest first; of one category's overlapping matches only the gravest stays.

    Words that merely sound like listed ones are tried only where the words as they stand give nothing.
    """
    written = rules.lattice(text, by_sound=False)
    exact = _matches(written, rules, role, worth=1.0)
    if exact:
        return _gravest(exact)
    heard = rules.lattice(text, by_sound=True)
    if heard.arcs == written.arcs:
        return []
    return _gravest(_matches(heard, rules, role, worth=SOUND_DISCOUNT))


def says_notice(text: str, rules: LanguageRules) -> bool:
    """Whether the text holds one of the language's notice patterns."""
    lattice = rules.lattice(text, by_sound=False)
    return any(pattern.spans(lattice) for pattern in rules.notice)


def _matches(lattice: Lattice, rules: LanguageRules, role: Role | None, *, worth: float) -> list[Match]:
    tried: set[tuple[int, int]] = set()
    by_anchor = rules.by_anchor
    for symbol in lattice.present:
        tried.update(by_anchor.get(symbol, ()))
    guarded: dict[str, list[Span]] = {}
    found: list[Match] = []
    for number, place in sorted(tried):
        compiled = rules.rules[number]
        if compiled.rule.speaker is not None and role is not compiled.rule.speaker:
            continue
        for start, end in compiled.patterns[place].spans(lattice):
            if _stands(compiled, lattice, (start, end), guarded):
                first, last = lattice.chars[start][0], lattice.chars[end - 1][1]
                found.append(
                    Match(
                        rule=compiled.rule,
                        start=first,
                        end=last,
                        words=lattice.text[first:last].strip(),
                        score=compiled.rule.score * worth,
                    )
                )
    return found


def _stands(compiled: CompiledRule, lattice: Lattice, span: Span, guarded: dict[str, list[Span]]) -> bool:
    if not all(any(pattern.spans(lattice) for pattern in group) for group in compiled.also):
        return False
    for guard in compiled.guards:
        spans = guarded.get(guard.name)
        if spans is None:
            spans = [hit for pattern in guard.patterns for hit in _guard_spans(pattern, lattice)]
            guarded[guard.name] = spans
        if any(_undoes(guard, hit, span, lattice) for hit in spans):
            return False
    return True


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
