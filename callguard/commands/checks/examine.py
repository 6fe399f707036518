"""All checks in order. A check that breaks is itself a finding; nothing is raised."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from callguard.commands.checks import features, house, telephone, wire
from callguard.commands.checks.eyes import Eyes, looking
from callguard.commands.checks.result import Check, fail, into, ok, shell, skip, warn
from callguard.config import Settings, load_settings
from callguard.model.errors import AmiFault, CallguardError, SettingsError
from callguard.model.policy import Policy
from callguard.policy.keys import table
from callguard.policyfile import load_policy

Found = Check | Sequence[Check]
Work = Callable[[], Awaitable[Found]]
Look = Callable[[Settings, str], AbstractAsyncContextManager[Eyes]]
"""Opens eyes with this account's name."""


ASIDE = "-doctor"
"""Ends the name of the account that looks while the daemon uses its own."""

NEEDS_MANAGER = (
    "rights",
    "events",
    "version",
    "modules",
    "contexts",
    "destinations",
    "hooks",
    "keys",
    "caller",
    "tap",
    "clock",
)


def look_by_manager(settings: Settings, username: str) -> AbstractAsyncContextManager[Eyes]:
    """Eyes over a manager account that has the secret of these settings."""
    ami = settings.asterisk
    tls = ssl.create_default_context(cafile=str(ami.tls_ca) if ami.tls_ca else None) if ami.tls else None
    return looking(
        host=ami.host,
        port=ami.port,
        username=username,
        secret=ami.secret.get_secret_value(),
        tls=tls,
        timeout_s=ami.timeout_s,
    )


async def examine(file: Path | None, *, language: str = "en", look: Look = look_by_manager) -> AsyncIterator[Check]:
    """Every finding, as soon as it is made."""
    try:
        settings = load_settings(file)
    except SettingsError as error:
        paste = shell(error.hint) if error.hint.startswith("callguard ") else None
        yield fail("settings", "settings-bad", paste, text=str(error))
        return
    files = ", ".join(str(one) for one in settings.files)
    yield ok("settings", "settings-ok", files=files) if files else ok("settings", "settings-default")
    policy, found = _policy(settings)
    for one in found:
        yield one
    async for one in _pbx(settings, policy, language, look):
        yield one
    async for one in _here(settings, language):
        yield one


def _policy(settings: Settings) -> tuple[Policy | None, list[Check]]:
    """The general policy; those of queues must be readable too, and have the same keys: features.conf is one."""
    try:
        read = load_policy(settings.policy.file)
        queues = {queue: load_policy(settings.policy.for_queue(queue), queue=queue) for queue in settings.policy.queues}
    except CallguardError as error:
        return None, [fail("policy", "policy-bad", text=str(error))]
    found = [ok("policy", "policy-ok", policy=read.name, mode=read.mode.value)]
    other = [queue for queue, one in queues.items() if table(one.keys) != table(read.keys)]
    if other:
        found.append(warn("policy", "policy-other-keys", queues=", ".join(other)))
    return read, found


async def _pbx(settings: Settings, policy: Policy | None, language: str, look: Look) -> AsyncIterator[Check]:
    """What Asterisk says, or why it says nothing.

    While the daemon runs it holds its account alone (allowmultiplelogin = no), so that another one looks.
    """
    ami = settings.asterisk
    running = await wire.alive(settings)
    username = ami.username + ASIDE if running else ami.username
    try:
        async with look(settings, username) as eyes:
            yield ok("manager", "manager-ok", username=username, address=f"{ami.host}:{ami.port}")
            async for one in _asked(eyes, settings, policy, language, itself=not running):
                yield one
            return
    except (CallguardError, OSError) as error:
        yield _unreached(error, settings, running=running)
    for name in NEEDS_MANAGER:
        yield skip(name, "needs-manager")
    if policy is not None:
        for one in await _safe("sounds", lambda: house.sounds(settings, policy, None)):
            yield one


def _unreached(error: Exception, settings: Settings, *, running: bool) -> Check:
    ami = settings.asterisk
    address = f"{ami.host}:{ami.port}"
    match error:
        case AmiFault(code="ami-refused") if running:
            paste = into("manager_callguard.conf", f"[{ami.username}{ASIDE}]({ami.username})")
            return warn("manager", "manager-in-use", paste, username=ami.username, other=ami.username + ASIDE)
        case AmiFault(code="ami-refused"):
            ours = ami.host if house.is_here(ami.host) else "ADDRESS-OF-THIS-MACHINE"
            account = ("secret = AS-IN-CALLGUARD-TOML", f"permit = {ours}/255.255.255.255")
            paste = into(f"manager.conf [{ami.username}]", *account)
            return fail("manager", "manager-refused", paste, address=address, username=ami.username)
        case AmiFault(code="ami-unreachable" | "ami-lost"):
            general = ("enabled = yes", f"bindaddr = {ami.host}", f"port = {ami.port}")
            return fail("manager", "manager-unreachable", into("manager.conf [general]", *general), address=address)
        case _:
            return fail("manager", "manager-odd", address=address, text=str(error))


async def _asked(
    eyes: Eyes, settings: Settings, policy: Policy | None, language: str, *, itself: bool
) -> AsyncIterator[Check]:
    username, taps = settings.asterisk.username, settings.taps
    lines = None
    try:
        lines = await eyes.dialplan()
    except CallguardError as error:
        yield fail("hooks", "check-broke", text=str(error))
    work: list[tuple[str, Work]] = [
        ("rights", lambda: telephone.rights(eyes, username, itself=itself)),
        ("events", lambda: telephone.events(eyes, username)),
        ("version", lambda: telephone.version(eyes, language)),
        ("modules", lambda: telephone.modules(eyes)),
        ("contexts", lambda: telephone.contexts(eyes)),
        ("hooks", lambda: _later(lambda: telephone.hooks(lines))),
        ("caller", lambda: telephone.caller(eyes, lines)),
        ("tap", lambda: telephone.tap(eyes, host=taps.host, port=taps.port, addresses=taps.addresses)),
        ("clock", lambda: house.clock(eyes)),
    ]
    if policy is None:
        for name in ("keys", "destinations", "sounds"):
            yield skip(name, "needs-policy")
    else:
        work += [
            ("keys", lambda: features.keys(eyes, policy, lines)),
            ("destinations", lambda: telephone.destinations(eyes, policy)),
            ("sounds", lambda: house.sounds(settings, policy, eyes)),
        ]
    for name, one in work:
        for found in await _safe(name, one):
            yield found


async def _here(settings: Settings, language: str) -> AsyncIterator[Check]:
    """What is on this machine."""
    work: list[tuple[str, Work]] = [
        ("model", lambda: _later(lambda: house.model(settings))),
        ("bus", lambda: wire.bus(settings, language)),
        ("scripts", lambda: _later(lambda: wire.scripts(settings))),
        ("store", lambda: _later(lambda: house.store(settings))),
        ("disk", lambda: _later(lambda: house.disk(settings))),
        ("spool", lambda: _later(lambda: house.spool(settings))),
    ]
    for name, one in work:
        for found in await _safe(name, one):
            yield found


async def _later(work: Callable[[], Found]) -> Found:
    return await asyncio.to_thread(work)


async def _safe(name: str, work: Work) -> list[Check]:
    """What it found; a check that broke is a finding."""
    try:
        found = await work()
    except Exception as error:
        said = str(error) or type(error).__name__
        return [fail(name, "check-broke", text=said)]
    return [found] if isinstance(found, Check) else list(found)
