"""What labelled sentences teach beside the rules: how much an utterance as a whole reads like abuse or a call for care.

A linear model over pieces of the utterance: words and runs of letters in English, runs of characters and of their
reading in Japanese. It knows no more than the weights in its file, one line a piece, and says which words weighed
most. Rules come first; it finds what no rule was written for, and doubts a rule that matched in harmless talk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple

from callguard.detect.lattice import STOP, Lattice
from callguard.model.errors import SettingsError
from callguard.model.finding import Category
from callguard.model.rule import Rule

KINDS = (
    Category.VERBAL_ABUSE,
    Category.THREAT,
    Category.SNS_THREAT,
    Category.EXCESSIVE_DEMAND,
    Category.AUTHORITY,
    Category.SEXUAL,
    Category.DISCRIMINATION,
    Category.PRIVACY,
    Category.RESTRAINT,
)
CARE_KINDS = (Category.LIFE_AT_RISK, Category.ACCOMMODATION)
KIND_COLUMNS = (*KINDS, "severe", CARE_KINDS[0])
"""What a piece tells beside abuse and care: of which kind, severity 2 or more rather than 1, life at risk."""
GRAVEST = 2
"""The model alone never finds severity 3: a threat to life is told by words that a rule names."""
FORMAT = "callguard-learned 1"
LEAST = MappingProxyType({"en": 2, "ja": 4})
"""An utterance of fewer words (Japanese: characters) is left to the rules."""
LONGEST_STRETCH = MappingProxyType({"en": 7, "ja": 18})
"""Words (Japanese: characters) shown as those that weighed most."""

WORD, SOUND = "=", "~"
"""What pieces made of whole words and pieces of a reading begin with."""


class Piece(NamedTuple):
    """What one piece weighs.

    rarity: squared inverse document frequency. abuse, care: log odds. kinds: one per column of ``KIND_COLUMNS``, or
    none where it tells no kind from another.
    """

    rarity: float
    abuse: float
    care: float
    kinds: tuple[float, ...] = ()


_RARITY, _ABUSE, _CARE = itemgetter(0), itemgetter(1), itemgetter(2)
"""Of a piece; by place, which is quicker than by name and asked for some hundred times an utterance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """Log odds that an utterance is abuse, and that it is a call for care."""

    abuse: float
    care: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """The weights of one language and where its lines are drawn, in log odds.

    base: the log odds of an utterance without known pieces, abuse and care first, then per column of ``KIND_COLUMNS``.
    room: added to the rarities' sum under the root, so that a short utterance weighs less.
    alone: from here on an utterance is abuse though no rule matched. doubted: below, rules that matched are not
    believed. care: from here on it is a call for care.
    """

    language: str
    pieces: Mapping[str, Piece]
    base: tuple[float, ...]
    room: float
    alone: float
    doubted: float
    care: float
    rules: Mapping[Category, Rule]

    def chosen(self, off: frozenset[str], severities: Mapping[str, int]) -> Learned:
        """As a policy wants it, by rule id: kinds switched off, severities of its own; 1 leaves them to the model."""
        rules = {
            kind: replace(rule, severity=severities.get(rule.id, rule.severity))
            for kind, rule in self.rules.items()
            if rule.id not in off
        }
        return replace(self, rules=rules)

    def weigh(self, pieces: AbstractSet[str]) -> Weighed:
        """How an utterance of these pieces reads."""
        there, scale = self._there(pieces)
        return Weighed(
            abuse=self.base[0] + scale * sum(map(_ABUSE, there)),
            care=self.base[1] + scale * sum(map(_CARE, there)),
        )

    def kind(self, pieces: AbstractSet[str], *, care: bool) -> tuple[Category, int]:
        """The likeliest kind and its severity: 1 or 2, 0 for care."""
        there, scale = self._there(pieces)
        odds = list(self.base[2:])
        for piece in there:
            for column, weight in enumerate(piece.kinds):
                odds[column] += scale * weight
        if care:
            return (CARE_KINDS[0] if odds[-1] > 0 else CARE_KINDS[1]), 0
        kinds = odds[: len(KINDS)]
        return KINDS[kinds.index(max(kinds))], GRAVEST if odds[-2] > 0 else 1

    def telling(self, lattice: Lattice, *, care: bool) -> tuple[int, int]:
        """The stretch of positions that weighs most, ``LONGEST_STRETCH`` of them at most."""
        gain = [0.0] * lattice.size
        for gram, start, end in _placed(lattice, self.language):
            piece = self.pieces.get(gram)
            if piece is not None:
                share = (piece.care if care else piece.abuse) / (end - start)
                for at in range(start, end):
                    gain[at] += share
        longest = LONGEST_STRETCH[self.language]
        best, span = (-math.inf, 0), (0, lattice.size)
        for start in range(lattice.size):
            total = 0.0
            for end in range(start + 1, min(lattice.size, start + longest) + 1):
                total += gain[end - 1]
                if (total, start - end) > best:
                    best, span = (total, start - end), (start, end)
        return span

    def _there(self, pieces: AbstractSet[str]) -> tuple[list[Piece], float]:
        """Those of the pieces that are known, and what their weights are multiplied by."""
        there = [piece for piece in map(self.pieces.get, pieces) if piece is not None]
        rarity = self.room + sum(map(_RARITY, there))
        return there, 1.0 / math.sqrt(rarity) if rarity else 0.0


def grams(lattice: Lattice, language: str) -> set[str]:
    """The pieces of an utterance, each once."""
    if language == "en":
        line = f" {lattice.literal} "
        words = ["<", *lattice.literal.split(), ">"]
        found = {line[at : at + size] for size in range(3, 7) for at in range(len(line) - size + 1)}
        found.update([WORD + word for word in words[1:-1]])
        found.update([f"{WORD}{one} {two}" for one, two in pairwise(words)])
        found.update(
            [f"{WORD}{one} {two} {three}" for one, two, three in zip(words, words[1:], words[2:], strict=False)]
        )
        return found
    line = f"^{lattice.literal}$".replace(STOP, "")
    found = {line[at : at + size] for size in range(1, 5) for at in range(len(line) - size + 1)}
    said = f"^{lattice.said}$"
    found.update([SOUND + said[at : at + size] for size in range(2, 5) for at in range(len(said) - size + 1)])
    return found


def _placed(lattice: Lattice, language: str) -> Iterator[tuple[str, int, int]]:
    """The pieces made of words or characters as they stand, with the positions they lie over."""
    units: list[str] = lattice.literal.split() if language == "en" else list(lattice.literal)
    mark, between, longest = (WORD, " ", 3) if language == "en" else ("", "", 4)
    for size in range(1, longest + 1):
        for at in range(len(units) - size + 1):
            yield mark + between.join(units[at : at + size]), at, at + size


def read_learned(text: str, *, where: str) -> Learned:
    """The model that ``write_learned`` wrote. Raises SettingsError that names the line."""
    lines = text.rstrip("\n").split("\n")
    if lines[0] != FORMAT:
        raise SettingsError(
            f"this is no file of learned weights: its first line is not {FORMAT!r}",
            where=where,
            hint="make one with callguard policy learn",
        )
    head: dict[str, str] = {}
    if "" not in lines:
        raise SettingsError("no empty line ends the head", where=where)
    first = lines.index("")
    for line in lines[1:first]:
        name, _, value = line.removeprefix("# ").partition(" ")
        head[name] = value
    pieces: dict[str, Piece] = {}
    for number, line in enumerate(lines[first + 1 :], start=first + 2):
        gram, *figures = line.split("\t")
        try:
            rarity, abuse, care, *kinds = [
                float(figure or "0") / 1000 for figure in (*figures, *[""] * (3 - len(figures)))
            ]
        except ValueError as error:
            raise SettingsError("a weight is no number", where=f"{where}, line {number}") from error
        if len(kinds) > len(KIND_COLUMNS):
            raise SettingsError("too many weights", where=f"{where}, line {number}")
        pieces[gram] = Piece(rarity, abuse, care, tuple(kinds))
    try:
        language = head["language"]
        return Learned(
            language=language,
            pieces=pieces,
            base=tuple(float(one) for one in head["base"].split()),
            room=float(head["room"]),
            alone=float(head["alone"]),
            doubted=float(head["doubted"]),
            care=float(head["care"]),
            rules=learned_rules(language),
        )
    except (KeyError, ValueError) as error:
        raise SettingsError(f"a heading is missing or wrong: {error}", where=where) from error


def write_learned(learned: Learned, notes: Mapping[str, str]) -> str:
    """The file of a model, weights in thousandths. notes: what else the head tells, e.g. the figures of its making."""
    head = {
        "language": learned.language,
        "base": " ".join(f"{one:.3f}" for one in learned.base),
        **{name: f"{getattr(learned, name):.3f}" for name in ("room", "alone", "doubted", "care")},
        **notes,
    }
    lines = [FORMAT, *(f"# {name} {value}" for name, value in head.items()), ""]
    for gram, piece in sorted(learned.pieces.items()):
        figures = [f"{round(1000 * one)}" for one in (piece.rarity, piece.abuse, piece.care, *piece.kinds)]
        lines.append("\t".join([gram, *("" if one in ("0", "-0") else one for one in figures)]).rstrip("\t"))
    return "\n".join(lines) + "\n"


def learned_rules(language: str) -> dict[Category, Rule]:
    """The rules under whose names the model's findings go, one a kind: ``en.learned.threat``."""
    return {
        kind: Rule(
            id=f"{language}.learned.{kind.value.replace('_', '-')}",
            language=language,
            category=kind,
            severity=0 if kind.is_care else 1,
            why="As a whole it reads like sentences that were labelled so.",
        )
        for kind in (*KINDS, *CARE_KINDS)
    }
