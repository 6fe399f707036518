"""The key map: checked, and written out as the dialplan's features. One table makes both.

Asterisk compares collected digits with every enabled feature; the first that fits fires at once, so a key that is
the beginning of another makes the longer one unreachable (main/bridge_channel.c, bridge_channel_feature).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

from callguard.model.key import Key
from callguard.model.policy import KeyMap, Policy

DIGITS = frozenset("0123456789*#ABCD")
LONGEST = 5
"""Asterisk takes up to 11 digits; nobody presses more than five in the second between digits."""

FEATURE = "callguard-"
PLAY = f"{FEATURE}play"
KEY_CONTEXT = "callguard-key"
PLAY_CONTEXT = "callguard-warn"

BUILT_INS: tuple[tuple[str, str, str], ...] = (
    ("#", "blind transfer", "Asterisk's default with the options t or T"),
    ("*", "disconnect", "Asterisk's default with the options h or H"),
    ("##", "blind transfer", "FreePBX"),
    ("**", "disconnect", "FreePBX"),
    ("*1", "record", "FreePBX"),
    ("*2", "attended transfer", "FreePBX"),
)
"""Digits, what they do, and where they are set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTrouble:
    """Something wrong with a key map.

    key: as the policy file names it.
    fatal: the map cannot work; otherwise it depends on the PBX's own settings.
    """

    key: str
    text: str
    hint: str
    fatal: bool


def table(keys: KeyMap) -> tuple[tuple[str, str], ...]:
    """Name and digits of every key that is on, ``play`` last."""
    named = tuple((key.value, keys.of(key)) for key in Key if keys.of(key))
    return (*named, ("play", keys.play)) if keys.play else named


def check_keys(keys: KeyMap, built_ins: tuple[tuple[str, str, str], ...] = BUILT_INS) -> tuple[KeyTrouble, ...]:
    """What is wrong with this map, worst first. ``built_ins`` may be those that ``features show`` lists."""
    rows = table(keys)
    fatal = (*_malformed(rows), *_shadowed(rows))
    return (*fatal, *_taken(rows, built_ins))


def _malformed(rows: tuple[tuple[str, str], ...]) -> tuple[KeyTrouble, ...]:
    return tuple(
        KeyTrouble(
            key=name,
            text=f"{digits!r} is not a key combination",
            hint=f"use 1 to {LONGEST} of 0-9, *, #, A-D, for example *7",
            fatal=True,
        )
        for name, digits in rows
        if not (set(digits) <= DIGITS and 1 <= len(digits) <= LONGEST)
    )


def _shadowed(rows: tuple[tuple[str, str], ...]) -> tuple[KeyTrouble, ...]:
    return tuple(
        KeyTrouble(
            key=name,
            text=f"{digits} begins with {shorter}, the key of {other}: it can never be reached",
            hint="give one of them other digits",
            fatal=True,
        )
        for (other, shorter), (name, digits) in permutations(rows, 2)
        if digits.startswith(shorter)
    )


def _taken(rows: tuple[tuple[str, str], ...], built_ins: tuple[tuple[str, str, str], ...]) -> tuple[KeyTrouble, ...]:
    return tuple(
        KeyTrouble(
            key=name,
            text=f"{digits} meets {taken} ({what}, {where})",
            hint="choose other digits, or leave that feature switched off",
            fatal=False,
        )
        for name, digits in rows
        for taken, what, where in built_ins
        if digits.startswith(taken) or taken.startswith(digits)
    )


def dynamic_features(policy: Policy) -> str:
    """The value of DYNAMIC_FEATURES for the agent's channel, and for no other."""
    return "#".join(f"{FEATURE}{name}" for name, _ in table(policy.keys))


def features_conf(policy: Policy) -> str:
    """The text of ``features_callguard.conf``: an ``[applicationmap]`` to be included by features.conf."""
    lines = [
        f"; callguard: keys of the policy {policy.name}. Written by `callguard init`: change the policy, not this.",
        f"; DYNAMIC_FEATURES={dynamic_features(policy)}",
        "[applicationmap](+)",
    ]
    lines += [_feature(name, digits, policy.keys.music) for name, digits in table(policy.keys)]
    return "\n".join(lines) + "\n"


def _feature(name: str, digits: str, music: str) -> str:
    if name == "play":
        return f'{PLAY} => {digits},peer/both,Gosub,"{PLAY_CONTEXT},s,1"' + (f",{music}" if music else "")
    return f'{FEATURE}{name} => {digits},self/both,Gosub,"{KEY_CONTEXT},s,1({name})"'
