"""Checks of the agents' keys: features.conf as Asterisk reads it, against the policy's key map."""

from __future__ import annotations

import re

from callguard.commands.checks.eyes import Eyes, Line
from callguard.commands.checks.result import Check, Paste, State, fail, into, ok, skip, warn
from callguard.model.policy import KeyMap, Policy
from callguard.policy.keys import FEATURE, check_keys, features_conf, table

FILE = "features.conf"
BUILT_INS = {
    "blindxfer": "blind transfer",
    "atxfer": "attended transfer",
    "disconnect": "disconnect",
    "automon": "record",
    "automixmon": "record",
    "parkcall": "park",
}
"""Asterisk's own features, by their names in [featuremap]."""

BuiltIn = tuple[str, str]
"""Its name and its digits."""


async def keys(eyes: Eyes, policy: Policy, lines: tuple[Line, ...] | None) -> list[Check]:
    """Everything about the keys, worst first."""
    unreachable = [
        fail("keys", "key-unreachable", key=one.key, digits=dict(table(policy.keys)).get(one.key, ""), text=one.text)
        for one in check_keys(policy.keys, ())
    ]
    found = [*await _present(eyes, policy), *unreachable, *_meetings(policy.keys, await _built_ins(eyes), lines)]
    return sorted(found, key=lambda check: check.state is not State.FAIL)


async def _built_ins(eyes: Eyes) -> tuple[BuiltIn, ...]:
    """Those that have digits on this Asterisk."""
    found = []
    for name in BUILT_INS:
        digits = await eyes.value(f"FEATUREMAP({name})")
        if digits:
            found.append((name, digits))
    return tuple(found)


def _meetings(keys: KeyMap, built_ins: tuple[BuiltIn, ...], lines: tuple[Line, ...] | None) -> list[Check]:
    """Keys that one of Asterisk's own features takes first, or is taken by."""
    found: list[Check] = []
    for feature, taken in built_ins:
        met = [(name, digits) for name, digits in table(keys) if digits.startswith(taken) or taken.startswith(digits)]
        if met and feature == "disconnect":
            found += _hang_ups(", ".join(f"{name} {digits}" for name, digits in met), taken, lines)
        else:
            what = BUILT_INS[feature]
            found += [warn("keys", "key-taken", key=name, digits=d, taken=taken, what=what) for name, d in met]
    return found


def _hang_ups(met: str, taken: str, lines: tuple[Line, ...] | None) -> list[Check]:
    """The built-in that ends a call, which Dial and Queue switch on by h or H."""
    paste = into(f"{FILE} [featuremap]", "disconnect => **")
    if lines is None:
        return [warn("keys", "key-may-hang-up", paste, keys=met, taken=taken)]
    said = [(line, _options(line)) for line in lines if line.application in ("Dial", "Queue")]
    sure = [f"{line.context},{line.extension}" for line, options in said if set("hH") & set(options)]
    if sure:
        places = "; ".join(dict.fromkeys(sure))
        return [fail("keys", "key-hangs-up", paste, keys=met, taken=taken, places=places)]
    if any("$" in options for _, options in said):
        return [warn("keys", "key-may-hang-up", paste, keys=met, taken=taken)]
    return []


def _options(line: Line) -> str:
    """The option letters of a Dial or Queue, without what stands in brackets."""
    bare, before = line.data, ""
    while bare != before:
        before, bare = bare, re.sub(r"\([^()]*\)", "", bare)
    parts = bare.split(",")
    place = 2 if line.application == "Dial" else 1
    return re.sub(r"\$\{[^}]*\}", "$", parts[place]) if len(parts) > place else ""


async def _present(eyes: Eyes, policy: Policy) -> list[Check]:
    """Each key's line, as Asterisk reads it."""
    rows = table(policy.keys)
    lines = {name: await eyes.value(f"AST_CONFIG({FILE},applicationmap,{FEATURE}{name})") for name, _ in rows}
    if any(line is None for line in lines.values()):
        return [skip("keys", "features-unseen")]
    paste = _paste(policy)
    found = []
    missing = [f"{FEATURE}{name} ({digits})" for name, digits in rows if not lines[name]]
    if missing:
        found.append(fail("keys", "feature-missing", paste, features=", ".join(missing)))
    wanted = _wanted(policy)
    differing = [
        f"{FEATURE}{name} = {line}" for name, line in lines.items() if line and _bare(line) != _bare(wanted[name])
    ]
    if differing:
        found.append(fail("keys", "feature-differs", paste, features="; ".join(differing)))
    spelled = ", ".join(f"{name} {digits}" for name, digits in rows)
    return found or [ok("keys", "keys-ok", count=str(len(rows)), keys=spelled)]


def _wanted(policy: Policy) -> dict[str, str]:
    """Name of a key -> its line in the file that this policy makes."""
    rows = (line.split(" => ", 1) for line in features_conf(policy).splitlines() if " => " in line)
    return {name.removeprefix(FEATURE): value for name, value in rows}


def _bare(line: str) -> str:
    """A line without what may be spelled in two ways: quotes, brackets, who else is named."""
    digits, side, rest = (*line.replace(" ", "").split(",", 2), "", "")[:3]
    return f"{digits},{side.partition('/')[0]},{rest.replace('(', ',').replace(')', '').replace(chr(34), '')}".lower()


def _paste(policy: Policy) -> Paste:
    lines = [line for line in features_conf(policy).splitlines() if " => " in line]
    return Paste(where=f"features_callguard.conf ({FILE} [applicationmap])", lines="\n".join(lines))
