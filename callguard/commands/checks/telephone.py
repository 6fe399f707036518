"""Checks of the PBX: account, version, modules, dialplan, and whether it reaches the tap port."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence

from callguard.asterisk import versions
from callguard.commands.checks.eyes import Eyes, Line
from callguard.commands.checks.result import Check, fail, into, ok, shell, skip, warn
from callguard.model.policy import Policy
from callguard.observe.words import words_for

NEEDED_ACTIONS = (
    "BlindTransfer",
    "CoreShowChannels",
    "CoreStatus",
    "CoreSettings",
    "Getvar",
    "Hangup",
    "Originate",
    "PlayDTMF",
    "QueuePause",
    "Redirect",
    "Setvar",
    "ShowDialPlan",
)
BROAD_ACTIONS = ("Command", "GetConfig", "UpdateConfig", "ModuleLoad", "DBPut", "MixMonitor", "UserEvent")
"""Each stands for a right that callguard does without: command, config, system, user."""

READ = ("call", "agent", "user", "dtmf", "reporting")
WRITE = ("call", "originate", "agent", "reporting")

OLDEST = 20

MODULES = (
    "chan_audiosocket",
    "res_audiosocket",
    "app_chanspy",
    "app_stack",
    "app_playback",
    "app_userevent",
    "app_mixmonitor",
    "res_agi",
    "func_strings",
    "func_channel",
    "func_logic",
    "func_cut",
    "format_wav",
)

TIMERS = ("res_timing_timerfd", "res_timing_pthread", "res_timing_dahdi", "res_timing_kqueue")
"""One of these drives the spy's clock; without any, taps stay silent (app_chanspy, 50 Hz)."""

CONTEXTS = {
    "callguard-guard": "extensions_callguard.conf",
    "callguard-agent": "extensions_callguard.conf",
    "callguard-key": "extensions_callguard.conf",
    "callguard-keep": "extensions_callguard.conf",
    "callguard-warn": "extensions_callguard.conf",
    "callguard-say": "extensions_callguard.conf",
}
TRANSFER = "callguard-transfer"

_TO_AGENT = re.compile(r"b\(callguard-agent\^")
_TO_CALLER = re.compile(r"B\(callguard-agent\^")
"""A capital B runs it on the channel that dials."""

_TO_GUARD = re.compile(r"callguard-guard\b")
_GIVES_KEYS = re.compile(r"_{0,2}DYNAMIC_FEATURES=.*callguard")


async def rights(eyes: Eyes, username: str, *, itself: bool = True) -> Check:
    """Whether the account may do what callguard does, and little more.

    itself: this account is the one that asks, so that Asterisk can be asked; else its line in manager.conf is read.
    """
    if itself:
        have = await eyes.actions()
        missing = [name for name in NEEDED_ACTIONS if name not in have]
        broad = [name for name in BROAD_ACTIONS if name in have]
    else:
        have = frozenset(_words(await _account(eyes, username, "write") or ""))
        missing = [name for name in WRITE if name not in have and "all" not in have]
        broad = sorted(have - {*WRITE})
    if not have:
        return skip("rights", "rights-unseen")
    paste = into(f"manager.conf [{username}]", f"write = {','.join(WRITE)}")
    if missing:
        return fail("rights", "rights-missing", paste, actions=", ".join(missing))
    if broad:
        return warn("rights", "rights-broad", paste, actions=", ".join(broad))
    return ok("rights", "rights-ok")


async def events(eyes: Eyes, username: str) -> Check:
    """Whether the account is told what callguard has to know. Asterisk says so only by its manager.conf."""
    line = await _account(eyes, username, "read")
    if not line:
        return skip("events", "events-unseen")
    have = _words(line)
    missing = [] if "all" in have else [name for name in READ if name not in have]
    if missing:
        paste = into(f"manager.conf [{username}]", f"read = {','.join(READ)}")
        return fail("events", "events-missing", paste, classes=", ".join(missing))
    return ok("events", "events-ok")


async def _account(eyes: Eyes, username: str, key: str) -> str | None:
    plain = re.fullmatch(r"[\w-]+", username)
    return await eyes.value(f"AST_CONFIG(manager.conf,{username},{key})") if plain else None


def _words(line: str) -> set[str]:
    return {word.strip() for word in line.split(",") if word.strip()}


async def version(eyes: Eyes, language: str) -> list[Check]:
    """The version, and what is known to be wrong with it."""
    said = await eyes.version()
    parsed = versions.parse(said)
    if parsed is None:
        return [skip("version", "version-unseen", version=said)]
    if parsed[0] < OLDEST:
        return [fail("version", "version-old", version=said)]
    known = versions.troubles(parsed)
    if not known:
        return [ok("version", "version-ok", version=said)]
    return [warn("version", "version-trouble", version=said, text=words_for(one.code, language)) for one in known]


async def modules(eyes: Eyes) -> Check:
    """Whether Asterisk has loaded what the dialplan and the taps use."""
    if await eyes.value("IFMODULE(app_stack.so)") not in ("0", "1"):
        return skip("modules", "modules-unseen")
    missing = [name for name in MODULES if not await _loaded(eyes, name)]
    if not any([await _loaded(eyes, name) for name in TIMERS]):
        missing.append(TIMERS[0])
    if not missing:
        return ok("modules", "modules-ok", count=str(len(MODULES) + 1))
    paste = shell(*(f"asterisk -rx 'module load {name}.so'" for name in missing))
    return fail("modules", "module-missing", paste, modules=", ".join(missing))


async def _loaded(eyes: Eyes, name: str) -> bool:
    return await eyes.value(f"IFMODULE({name}.so)") == "1"


async def contexts(eyes: Eyes) -> Check:
    """Whether callguard's dialplan is included."""
    missing = [name for name in CONTEXTS if await eyes.value(f"DIALPLAN_EXISTS({name},s,1)") != "1"]
    if not missing:
        return ok("contexts", "contexts-ok", count=str(len(CONTEXTS)))
    files = dict.fromkeys(CONTEXTS[name] for name in missing)
    paste = into("extensions.conf", *(f"#include {file}" for file in files))
    return fail("contexts", "context-missing", paste, contexts=", ".join(missing))


async def destinations(eyes: Eyes, policy: Policy) -> Check:
    """Whether callers can be handed over to where the policy says."""
    allowed = policy.destinations.allowed
    if not allowed:
        return ok("destinations", "destinations-none")
    missing = [
        (name, extension)
        for name, extension in allowed
        if await eyes.value(f"DIALPLAN_EXISTS({TRANSFER},{extension},1)") != "1"
    ]
    if not missing:
        return ok("destinations", "destinations-ok")
    lines = [f"[{TRANSFER}]", *(f"exten => {extension},1,NoOp({name})" for name, extension in missing)]
    names = ", ".join(f"{name} ({extension})" for name, extension in missing)
    return warn("destinations", "destination-missing", into("destinations_callguard.conf", *lines), names=names)


def hooks(lines: tuple[Line, ...] | None) -> list[Check]:
    """Whether the admin's own dialplan calls ours, where calls come in and where agents are rung."""
    if lines is None:
        return [skip("hooks", "hooks-unseen")]
    theirs = [line for line in lines if not line.context.startswith("callguard-")]
    found = []
    if not any(_TO_AGENT.search(line.data) for line in theirs):
        paste = into("extensions.conf", " same => n,Queue(support,tb(callguard-agent^s^1),,,300)")
        found.append(fail("hooks", "hook-agent-missing", paste))
    if not any(_TO_GUARD.search(line.data) for line in theirs):
        paste = into("extensions.conf", "exten => 600,1,Gosub(callguard-guard,s,1(support))")
        found.append(warn("hooks", "hook-guard-missing", paste))
    return found or [ok("hooks", "hooks-ok")]


async def caller(eyes: Eyes, lines: tuple[Line, ...] | None) -> Check:
    """Whether anything gives the keys to a channel that is not the agent's."""
    hook = into("extensions.conf", " same => n,Queue(support,tb(callguard-agent^s^1),,,300)")
    if "callguard" in (await eyes.value("DYNAMIC_FEATURES") or ""):
        return fail("caller", "caller-global", hook)
    places = [f"{line.context},{line.extension}" for line in lines or () if _hands_over(line)]
    if places:
        return fail("caller", "caller-dialplan", hook, places="; ".join(dict.fromkeys(places)))
    live = [one for one in await eyes.live() if one.application == "Queue" and "callguard" in one.features]
    count = sum(not one.name.startswith("Local/") for one in live)
    return fail("caller", "caller-live", hook, count=str(count)) if count else ok("caller", "caller-ok")


def _hands_over(line: Line) -> bool:
    """Sets the keys by itself, or runs callguard-agent on the channel that dials."""
    if line.context == "callguard-agent":
        return False
    sets = line.application in ("Set", "MSet", "ExecIf") and _GIVES_KEYS.search(line.data)
    return bool(
        sets
        or _TO_CALLER.search(line.data)
        or (line.application == "Gosub" and line.data.startswith("callguard-agent,"))
    )


async def tap(eyes: Eyes, *, host: str, port: int, addresses: Sequence[str]) -> Check:
    """Whether Asterisk reaches the tap ports: the daemon's where it runs, else ours for this moment.

    addresses: one a tap process, for the ports from ``port`` on.
    """
    if port == 0 and addresses[0].endswith(":0"):
        return ok("tap", "tap-any")
    for number, address in enumerate(addresses):
        async with _listening(host, port + number) as (listens, why):
            if not listens:
                return fail("tap", "tap-taken", address=f"{host}:{port + number}", text=why)
            reached = await eyes.connects(address)
        if not reached:
            paste = into("callguard.toml", "[taps]", f'advertise = "THIS-MACHINE-AS-ASTERISK-SEES-IT:{port}"')
            return fail("tap", "tap-unreachable", paste, address=address)
    return ok("tap", "tap-ok", address=", ".join(addresses))


@contextlib.asynccontextmanager
async def _listening(host: str, port: int) -> AsyncIterator[tuple[bool, str]]:
    """Somebody listens there meanwhile: the daemon, or we. Else False and why not."""
    if await _answers(host, port):
        yield True, ""
        return
    try:
        server = await asyncio.start_server(_drop, host, port)
    except OSError as error:
        yield False, str(error.strerror or error)
        return
    async with server:
        yield True, ""


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(2):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(2):
            await reader.read(19)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
