"""From the tables of rule files to a compiled rule set. Pure: reading files is ``policyfile``'s work.

A rule file names its ``language`` and holds ``[lists.*]``, ``[frames]``, ``[guards.*]``, ``[heard_as]`` and
``[[rule]]``; limits beyond words are ``[[measure]]`` in any file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from callguard.detect.english import EnglishWords, confusions
from callguard.detect.japanese import JapaneseWords
from callguard.detect.lattice import Lattice
from callguard.detect.learned import Learned
from callguard.detect.measures import Measure, read_measures
from callguard.detect.pattern import Node, Pattern, parse
from callguard.detect.tables import read_rule
from callguard.model.errors import SettingsError
from callguard.model.rule import Rule

Words = EnglishWords | JapaneseWords

_TABLES = ("lists", "frames", "guards", "heard_as", "defaults", "notice")
_SCOPES = ("before", "after", "inside", "covers", "near", "anywhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What makes a match harmless.

    scope: "before" or "after" the match in the same sentence and at most ``within`` positions away; "near" either;
        "inside" the match; "covers": it holds a part of the match; "anywhere" in the utterance.
    """

    name: str
    scope: str
    within: int
    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRule:
    """A rule with its patterns.

    patterns: any of these is the match. also: each group must match somewhere in the utterance as well (AND).
    guards: any of these near the match undoes it (NOT).
    """

    rule: Rule
    patterns: tuple[Pattern, ...]
    also: tuple[tuple[Pattern, ...], ...] = ()
    guards: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageRules:
    """The rules of one language.

    by_anchor: symbol to the patterns worth trying where it is, as numbers of (rule, pattern); each with symbols of
        which one must be there besides.
    notice: what an agent says when telling the caller of a limit, a recording or the end of the call.
    learned: what labelled sentences taught beside the rules, None without.
    """

    language: str
    words: Words
    rules: tuple[CompiledRule, ...]
    by_anchor: Mapping[str, tuple[tuple[frozenset[str], tuple[int, int]], ...]]
    notice: tuple[Pattern, ...] = ()
    learned: Learned | None = None

    def lattice(self, text: str, *, by_sound: bool) -> Lattice:
        """The lattice of a text in this language."""
        return self.words.lattice(text, by_sound=by_sound)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Everything the detector judges by."""

    languages: Mapping[str, LanguageRules] = field(default_factory=dict)
    measures: tuple[Measure, ...] = ()

    def rule(self, rule_id: str) -> Rule | None:
        """The rule with this id, or None."""
        for language in self.languages.values():
            for compiled in language.rules:
                if compiled.rule.id == rule_id:
                    return compiled.rule
            for rule in language.learned.rules.values() if language.learned else ():
                if rule.id == rule_id:
                    return rule
        return next((measure.rule for measure in self.measures if measure.rule.id == rule_id), None)


def merge_tables(files: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """One raw mapping from the parsed rule files, ready for ``compile_rules``. Later files add to earlier ones.

    A file's rules, lists, frames and guards go under its language; ``[[measure]]`` and ``off`` are for all.
    """
    raw: dict[str, Any] = {"measure": [], "off": []}
    for file in files:
        raw["measure"].extend(file.get("measure", ()))
        raw["off"].extend(file.get("off", ()))
        if "language" not in file:
            continue
        room = raw.setdefault(str(file["language"]), {**{table: {} for table in _TABLES}, "rule": []})
        for table in _TABLES:
            room[table].update(file.get(table, {}))
        room["rule"].extend(file.get("rule", ()))
    return raw


def compile_rules(raw: Mapping[str, Any], learned: Iterable[Learned] = ()) -> RuleSet:
    """Compile what ``merge_tables`` made. Raises SettingsError that names the rule, list or frame that is wrong."""
    off = frozenset(str(name) for name in raw.get("off", ()))
    kinds: dict[str, type[EnglishWords] | type[JapaneseWords]] = {"en": EnglishWords, "ja": JapaneseWords}
    taught = {one.language: one for one in learned}
    languages = {
        code: replace(_language(code, raw[code], kind(), off), learned=taught.get(code))
        for code, kind in kinds.items()
        if raw.get(code)
    }
    return RuleSet(languages=languages, measures=read_measures(raw.get("measure", ()), off))


def _language(code: str, tables: Mapping[str, Any], words: Words, off: frozenset[str]) -> LanguageRules:
    lists = tables.get("lists", {})
    for name, table in lists.items():
        _enter(code, words, lists, name, table)
    if isinstance(words, EnglishWords):
        words.heard_as = confusions(tables.get("heard_as", {}))
    reader = _Reader(code, words, frozenset(lists))
    for name, source in tables.get("frames", {}).items():
        reader.frame(name, source)
    guards = {name: _guard(reader, name, table) for name, table in tables.get("guards", {}).items()}
    defaults = tables.get("defaults", {})
    rules = tuple(
        _rule(reader, table, guards, defaults)
        for table in tables.get("rule", ())
        if str(table.get("id", "")) not in off
    )
    notice = reader.patterns(tables.get("notice", {}).get("any", ()), f"{code}.notice")
    if isinstance(words, JapaneseWords):
        words.close()
    return LanguageRules(language=code, words=words, rules=rules, by_anchor=_anchors(rules), notice=notice)


def _anchors(rules: Sequence[CompiledRule]) -> dict[str, tuple[tuple[frozenset[str], tuple[int, int]], ...]]:
    index: dict[str, list[tuple[frozenset[str], tuple[int, int]]]] = {}
    for number, rule in enumerate(rules):
        for place, pattern in enumerate(rule.patterns):
            anchors = frozenset(pattern.anchors)
            besides = next((need for need in pattern.needs if need != anchors), anchors)
            for anchor in anchors:
                index.setdefault(anchor, []).append((besides, (number, place)))
    return {anchor: tuple(places) for anchor, places in index.items()}


def _enter(code: str, words: Words, lists: Mapping[str, Any], name: str, table: Mapping[str, Any]) -> None:
    where = f"{code}.lists.{name}"
    kind = str(table.get("kind", "word"))
    known = ("word", "noun", "verb", "adjective") if code == "en" else ("word", "verb", "text")
    if kind not in known:
        raise SettingsError(f"kind is {kind!r}", where=where, hint=f"use one of {', '.join(known)}")
    sound = bool(table.get("sound", False))
    own = [str(entry) for entry in table.get("words", ())]
    words.enter(name, own, kind, sound=sound)
    for phrase in table.get("heard", ()):
        if isinstance(words, JapaneseWords):
            words.hear(str(phrase), "{" + name + "}")
    for other in table.get("lists", ()):
        if other not in lists:
            raise SettingsError(f"there is no list {other!r}", where=where)
        source = lists[other]
        words.enter(name, [str(e) for e in source.get("words", ())], str(source.get("kind", "word")), sound=False)


_MOULDED = re.compile(r"<([^<>\s:]+):([^<>\s:]+)>")


class _Reader:
    """Reads patterns against the lists and frames of one language."""

    def __init__(self, code: str, words: Words, lists: frozenset[str]) -> None:
        self.code = code
        self.words = words
        self.lists = lists
        self.frames: dict[str, Node] = {}
        self.moulds: dict[str, str] = {}

    def frame(self, name: str, source: str | Sequence[str]) -> None:
        """Take note of a frame. One that holds ``{*}`` is a mould: ``<name:list>`` is the frame for that list."""
        where = f"{self.code}.frames.{name}"
        text = self.filled(source if isinstance(source, str) else " | ".join(source), where)
        if "{*" in text:
            self.moulds[name] = f"( {text} )"
            return
        self.frames[name] = parse(
            f"( {text} )", self.frames, literal=self.literal, commonness=self.commonness, where=where
        ).node

    def filled(self, source: str, where: str) -> str:
        """The pattern with the list put into each of its moulds."""

        def fill(piece: re.Match[str]) -> str:
            if piece[1] not in self.moulds:
                raise SettingsError(f"there is no frame {piece[0]}", where=where)
            return self.moulds[piece[1]].replace("{*", "{" + piece[2])

        return _MOULDED.sub(fill, source)

    def patterns(self, sources: Sequence[str], where: str) -> tuple[Pattern, ...]:
        return tuple(
            parse(
                self.filled(str(source), where),
                self.frames,
                literal=self.literal,
                commonness=self.commonness,
                where=where,
            )
            for source in sources
        )

    def literal(self, written: str) -> str:
        if written.startswith("{") and written[1:-1].partition(".")[0] not in self.lists:
            raise SettingsError(f"there is no list {written}", where=f"{self.code}.lists")
        return self.words.literal(written)

    def commonness(self, symbol: str) -> int:
        """A rough scale: short function words and person lists tell little."""
        if symbol.startswith("{"):
            return 8 if symbol in _COMMON else 2
        if self.code == "ja":
            return max(0, 7 - 2 * len(symbol))
        return 9 if symbol in _COMMON else max(0, 7 - len(symbol))


_COMMON = frozenset(
    [
        "{you}",
        "{your}",
        "{me}",
        "{be}",
        "{will}",
        "{i}",
        "{do}",
        "{person}",
        "~be",
        "~do",
        "~have",
        "~get",
        "~go",
        "you",
        "your",
        "i",
        "a",
        "the",
        "and",
        "or",
        "to",
        "of",
        "in",
        "on",
        "is",
        "are",
        "be",
        "am",
        "not",
        "will",
        "do",
        "does",
        "did",
        "that",
        "this",
        "it",
        "me",
        "my",
        "have",
        "has",
        "what",
        "with",
        "for",
        "at",
        "all",
        "if",
        "so",
        "can",
        "from",
        "we",
        "they",
        "he",
        "she",
        "them",
        "him",
        "her",
        "no",
    ]
)


def _guard(reader: _Reader, name: str, table: Mapping[str, Any]) -> Guard:
    where = f"{reader.code}.guards.{name}"
    scope = str(table.get("scope", "near"))
    if scope not in _SCOPES:
        raise SettingsError(f"scope is {scope!r}", where=where, hint=f"use one of {', '.join(_SCOPES)}")
    patterns = reader.patterns(table.get("patterns", ()), where)
    return Guard(name=name, scope=scope, within=int(table.get("within", 99)), patterns=patterns)


def _rule(
    reader: _Reader, table: Mapping[str, Any], guards: Mapping[str, Guard], defaults: Mapping[str, Any]
) -> CompiledRule:
    rule = read_rule(table, reader.code)
    where = f"{reader.code}.rule {rule.id}"
    own = defaults.get("care_unless" if rule.category.is_care else "unless", ())
    names = [*([] if table.get("no_defaults") else own), *table.get("unless", ())]
    names = [name for name in names if name not in table.get("even_if", ())]
    for name in names:
        if name not in guards:
            raise SettingsError(f"there is no guard {name!r}", where=where)
    any_of = table.get("any", ())
    if not any_of:
        raise SettingsError("a rule needs at least one pattern under 'any'", where=where)
    return CompiledRule(
        rule=rule,
        patterns=reader.patterns(any_of, where),
        also=tuple(reader.patterns(group, where) for group in table.get("all", ())),
        guards=tuple(guards[name] for name in names),
    )
