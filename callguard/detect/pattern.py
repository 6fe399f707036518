"""Patterns: a small language over lattices, parsed once, matched by walking.

word        the word as it stands          ~kill       any form of it
{insult}    a named list                   <frame>     a named pattern
<will:hurt> the mould "will" (a frame that holds {*}) with the list "hurt" put in
(a b | c)   alternatives                   x?  x*      optional, up to four times
..3         a gap of up to three positions inside one sentence (words in English, characters in Japanese)
!x          what follows is not x          ^  $        a sentence or a phrase begins, ends
。          a sentence ends and the pattern goes on (Japanese; no other step crosses the end of a sentence)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from callguard.detect.lattice import STOP, Lattice
from callguard.model.errors import SettingsError

_MOST_REPEATS = 4

Ends = frozenset[int] | set[int] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Symbols:
    """One step along any of these symbols."""

    names: tuple[str, ...]

    def ends(self, lattice: Lattice, at: int) -> Ends:
        if at >= lattice.size:
            return ()
        table = lattice.arcs[at]
        if len(self.names) == 1:
            return table.get(self.names[0], ())
        found: tuple[int, ...] = ()
        for name in self.names:
            found += table.get(name, ())
        return found


@dataclass(frozen=True, slots=True)
class Gap:
    """Nothing, or up to ``most`` positions that do not cross the end of a sentence, up to where a word begins."""

    most: int

    def ends(self, lattice: Lattice, at: int) -> Ends:
        last = at
        while last < lattice.size and last - at < self.most:
            last += 1
            if last in lattice.hard and last < lattice.size:
                break
        if last in lattice.hard and at < last < lattice.size and STOP not in lattice.arcs[last]:
            last -= 1
        inside = lattice.inside
        if inside:
            return (at, *(place for place in range(at + 1, last + 1) if place not in inside))
        return tuple(range(at, last + 1))


@dataclass(frozen=True, slots=True)
class Edge:
    """A phrase begins (or ends) here. Takes no position."""

    begins: bool

    def ends(self, lattice: Lattice, at: int) -> Ends:
        return (at,) if at in lattice.hard or at in lattice.soft else ()


@dataclass(frozen=True, slots=True)
class Not:
    """What follows does not match. Takes no position."""

    node: Node

    def ends(self, lattice: Lattice, at: int) -> Ends:
        return () if self.node.ends(lattice, at) else (at,)


@dataclass(frozen=True, slots=True)
class Repeat:
    """The node between ``least`` and ``most`` times."""

    node: Node
    least: int
    most: int

    def ends(self, lattice: Lattice, at: int) -> Ends:
        reached: set[int] = {at} if self.least == 0 else set()
        front: set[int] = {at}
        for count in range(1, self.most + 1):
            step: set[int] = set()
            for position in front:
                step.update(self.node.ends(lattice, position))
            if count >= self.least:
                reached |= step
            front = step
            if not front:
                break
        return reached


@dataclass(frozen=True, slots=True)
class Either:
    """Any of the nodes.

    by_first: symbol to the nodes that can begin with it. others: the nodes that may begin without a symbol.
    """

    nodes: tuple[Node, ...]
    by_first: Mapping[str, tuple[Node, ...]]
    others: tuple[Node, ...]

    def ends(self, lattice: Lattice, at: int) -> Ends:
        found: set[int] = set()
        for node in self.others:
            found.update(node.ends(lattice, at))
        if at < lattice.size:
            by_first = self.by_first
            for symbol in lattice.arcs[at]:
                for node in by_first.get(symbol, ()):
                    found.update(node.ends(lattice, at))
        return found


@dataclass(frozen=True, slots=True)
class Sequence:
    """One node after the other."""

    nodes: tuple[Node, ...]

    def ends(self, lattice: Lattice, at: int) -> Ends:
        front: Ends = (at,)
        for node in self.nodes:
            if len(front) == 1:
                (position,) = front
                front = node.ends(lattice, position)
            else:
                step: set[int] = set()
                for position in front:
                    step.update(node.ends(lattice, position))
                front = step
            if not front:
                return ()
        return front


Node = Symbols | Gap | Edge | Not | Repeat | Either | Sequence


@dataclass(frozen=True, slots=True)
class Pattern:
    """A parsed pattern.

    anchors: the symbols of which one must be present for it to match at all. firsts: those it can begin with; None
        where it can begin with anything. needs: of each of these sets one symbol must be present.
    """

    source: str
    node: Node
    anchors: tuple[str, ...]
    firsts: frozenset[str] | None = None
    needs: tuple[frozenset[str], ...] = ()

    def spans(self, lattice: Lattice, *, within_words: bool = False) -> list[tuple[int, int]]:
        """Every longest match, from left to right, not overlapping. within_words: also from the middle of a word on."""
        found: list[tuple[int, int]] = []
        present = lattice.present
        if present.isdisjoint(self.anchors):
            return found
        for need in self.needs:
            if need.isdisjoint(present):
                return found
        inside = frozenset[int]() if within_words else lattice.inside
        reached = 0
        for at in self._starts(lattice):
            if at < reached or at in inside:
                continue
            ends = self.node.ends(lattice, at)
            longest = max(ends) if ends else at
            if longest > at:
                found.append((at, longest))
                reached = longest
        return found

    def _starts(self, lattice: Lattice) -> Iterable[int]:
        """The positions at which it can begin, ascending."""
        if self.firsts is None:
            return range(lattice.size)
        names = self.firsts & lattice.present
        if len(names) == 1:
            (name,) = names
            return sorted(lattice.starts[name])
        return sorted({at for name in names for at in lattice.starts[name]})


_PIECE = re.compile(r"\.\.\d+|\{[^{}\s]+\}|<[^<>\s]+>|[()|?*!^$]|[^\s()|?*!^$<>{}]+")


def parse(
    source: str,
    frames: Mapping[str, Node],
    *,
    literal: Callable[[str], str],
    commonness: Callable[[str], int],
    where: str,
) -> Pattern:
    """Read a pattern.

    literal: turns a written word into its symbol, and may take note of it.
    commonness: how little a symbol tells; the least common step becomes the anchor.
    Raises SettingsError with ``where`` for a pattern that cannot be read.
    """
    pieces = _PIECE.findall(source)
    node, rest = _alternatives(pieces, frames, literal, where)
    if rest:
        raise SettingsError(f"cannot read the pattern from {rest[0]!r} on: {source!r}", where=where)
    anchors = _anchors(node, commonness)
    if not anchors:
        raise SettingsError(f"the pattern holds no word that must be there: {source!r}", where=where)
    firsts, empty = _firsts(node)
    needs = sorted({frozenset(need) for need in _needs(node, commonness)}, key=len)
    return Pattern(source, node, anchors, None if empty else firsts, tuple(needs))


def _alternatives(
    pieces: list[str], frames: Mapping[str, Node], literal: Callable[[str], str], where: str
) -> tuple[Node, list[str]]:
    branches: list[Node] = []
    while True:
        nodes: list[Node] = []
        while pieces and pieces[0] not in ("|", ")"):
            node, pieces = _one(pieces, frames, literal, where)
            nodes.append(node)
        if not nodes:
            raise SettingsError("a pattern has an empty alternative", where=where)
        branches.append(nodes[0] if len(nodes) == 1 else Sequence(tuple(nodes)))
        if not pieces or pieces[0] == ")":
            return _either(branches), pieces
        pieces = pieces[1:]


def _either(branches: list[Node]) -> Node:
    if len(branches) == 1:
        return branches[0]
    names = tuple(name for branch in branches if isinstance(branch, Symbols) for name in branch.names)
    others = [branch for branch in branches if not isinstance(branch, Symbols)]
    if not others:
        return Symbols(names)
    nodes: tuple[Node, ...] = (*((Symbols(names),) if names else ()), *others)
    by_first: dict[str, list[Node]] = {}
    without: list[Node] = []
    for node in nodes:
        firsts, empty = _firsts(node)
        if firsts is None or empty:
            without.append(node)
            continue
        for symbol in firsts:
            by_first.setdefault(symbol, []).append(node)
    return Either(nodes, {symbol: tuple(held) for symbol, held in by_first.items()}, tuple(without))


def _one(
    pieces: list[str], frames: Mapping[str, Node], literal: Callable[[str], str], where: str
) -> tuple[Node, list[str]]:
    head, rest = pieces[0], pieces[1:]
    node: Node
    if head == "(":
        node, rest = _alternatives(rest, frames, literal, where)
        if not rest:
            raise SettingsError("a bracket of a pattern is not closed", where=where)
        rest = rest[1:]
    elif head == "!":
        inner, rest = _one(rest, frames, literal, where)
        return Not(inner), rest
    elif head in ("^", "$"):
        node = Edge(head == "^")
    elif head.startswith("..") and head[2:].isdigit():
        node = Gap(int(head[2:]))
    elif head.startswith("<") and head.endswith(">"):
        if head[1:-1] not in frames:
            raise SettingsError(f"there is no frame {head}", where=where)
        node = frames[head[1:-1]]
    elif head in ("?", "*", "|", ")"):
        raise SettingsError(f"a pattern cannot begin with {head!r}", where=where)
    else:
        node = Symbols((literal(head),))
    if rest and rest[0] in ("?", "*"):
        node = Repeat(node, 0, 1 if rest[0] == "?" else _MOST_REPEATS)
        rest = rest[1:]
    return node, rest


def _anchors(node: Node, commonness: Callable[[str], int]) -> tuple[str, ...]:
    match node:
        case Symbols(names):
            return names
        case Either(nodes=nodes):
            found: tuple[str, ...] = ()
            for branch in nodes:
                part = _anchors(branch, commonness)
                if not part:
                    return ()
                found += part
            return found
        case Sequence(nodes):
            options = [part for part in (_anchors(inner, commonness) for inner in nodes) if part]
            if not options:
                return ()
            return min(options, key=lambda names: (max(commonness(name) for name in names), len(names)))
        case Repeat(inner, least, _):
            return _anchors(inner, commonness) if least else ()
        case _:
            return ()


def _needs(node: Node, commonness: Callable[[str], int]) -> list[tuple[str, ...]]:
    """Sets of symbols of each of which one must be there: those of every step that cannot be left out."""
    match node:
        case Sequence(nodes):
            return [need for inner in nodes for need in _needs(inner, commonness)]
        case Repeat(inner, least, _):
            return _needs(inner, commonness) if least else []
        case _:
            part = _anchors(node, commonness)
            return [part] if part else []


def _firsts(node: Node) -> tuple[frozenset[str] | None, bool]:
    """The symbols a node can begin with (None: anything), and whether it can match without taking a position."""
    match node:
        case Symbols(symbols):
            return frozenset(symbols), False
        case Either(nodes=nodes):
            parts = [_firsts(branch) for branch in nodes]
            known = [part for part, _ in parts if part is not None]
            return (frozenset[str]().union(*known) if len(known) == len(parts) else None), any(
                empty for _, empty in parts
            )
        case Repeat(inner, least, _):
            part, empty = _firsts(inner)
            return part, empty or least == 0
        case Sequence(nodes):
            held: frozenset[str] = frozenset()
            for inner in nodes:
                part, empty = _firsts(inner)
                if part is None:
                    return None, False
                held |= part
                if not empty:
                    return held, False
            return held, True
        case Gap():
            return None, True
        case _:
            return frozenset(), True
