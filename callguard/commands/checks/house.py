"""Checks of this machine: model, sounds, store, disk, spool, clock. Each is told whose eyes it looks with."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

from callguard.asr.models import _HALVES, _WHOLE
from callguard.commands.checks.eyes import Eyes
from callguard.commands.checks.result import Check, fail, into, ok, shell, skip, warn
from callguard.config import Settings
from callguard.model.errors import CallguardError, StoreFault
from callguard.model.policy import Policy
from callguard.promptfile import NEEDED, RATES

USER = "callguard"
ASTERISK_USER = "asterisk"
APART_S = 2
WAITING = 20
"""More presses than this in the spool: nobody takes them."""

MIB = 1024 * 1024


def is_here(host: str) -> bool:
    """Whether this host is our own machine."""
    if host in ("", "localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def model(settings: Settings) -> Check:
    """Whether the speech models are there, ready or in the packages that the worker unpacks them from."""
    speech = settings.speech
    if not speech.enabled:
        return skip("model", "model-off")
    names = dict.fromkeys(name for name in (speech.model, speech.english_model, speech.last_words_model) if name)
    missing = [name for name in names if not _has_model(name, speech.model_dir)]
    if missing:
        paste = shell("pip install 'callguard[models]'")
        return fail("model", "model-none", paste, models=", ".join(missing))
    return ok("model", "model-ok", models=", ".join(names))


def _has_model(name: str, model_dir: Path) -> bool:
    """As ``asr.models.ensure_model`` looks, without unpacking anything."""
    if any((folder / "model.bin").is_file() for folder in (Path(name), model_dir / name)):
        return True
    packages = (_WHOLE[name][0],) if name in _WHOLE else _HALVES.get(name, ())
    return bool(packages) and all(find_spec(package) is not None for package in packages)


async def sounds(settings: Settings, policy: Policy, eyes: Eyes | None) -> Check:
    """Whether Asterisk has every sound that the policy and the dialplan call, in each of the policy's languages."""
    if not is_here(settings.asterisk.host):
        return skip("sounds", "sounds-remote")
    folder = settings.prompts.sounds_dir
    plays = await eyes.value("ASTDATADIR") if eyes is not None else None
    goal = f"{plays.rstrip('/')}/sounds" if plays else ""
    if not any(str(one).endswith(goal) for one in (folder, folder.resolve())):
        paste = into("callguard.toml", "[prompts]", f'sounds_dir = "{goal}"')
        return fail("sounds", "sounds-elsewhere", paste, plays=goal, folder=str(folder))
    names = sorted({*NEEDED, *_spoken(policy)})
    wanted = [f"{language}/callguard/{name}" for language in policy.languages for name in names]
    missing = [name for name in wanted if not any((folder / f"{name}{ending}").is_file() for ending in RATES)]
    if missing:
        some = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
        paste = shell(f"callguard prompts install --to {folder}")
        return fail("sounds", "sound-missing", paste, count=str(len(missing)), names=some)
    return ok("sounds", "sounds-ok", count=str(len(wanted)), folder=str(folder))


def _spoken(policy: Policy) -> Iterator[str]:
    yield from (rung.announcement for rung in policy.ladder)
    yield from (limit.announcement for limit in policy.limits)
    if policy.ending.announcement:
        yield policy.ending.announcement


def store(settings: Settings) -> list[Check]:
    """Whether cases and sound can be written by the daemon's user. Nothing is made and no table is changed."""
    url = settings.store.url
    found = [_writable("store", settings.store.segments, "store-ok", "store-closed")]
    try:
        if url.startswith("sqlite:///"):
            file = Path(url.partition(":///")[2])
            found.append(_sqlite(file))
        else:
            found.append(_reached(url))
    except CallguardError as error:
        found.append(fail("store", "store-bad", text=str(error)))
    bad = [one for one in found if one.state != "ok"]
    return bad or found[-1:]


def _sqlite(file: Path) -> Check:
    folder = _writable("store", file.parent, "store-ok", "store-closed")
    if folder.state != "ok" or not file.exists():
        return folder
    address = f"{file.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=2)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        return fail("store", "store-bad", text=f"{file}: {error}")
    return _writable("store", file, "store-ok", "store-closed")


def _reached(url: str) -> Check:
    from callguard.store.connection import Database

    database = Database(url)
    try:
        with database.reading():
            return ok("store", "store-ok", where=url.partition("://")[0])
    except StoreFault as fault:
        return fail("store", "store-bad", text=str(fault))
    finally:
        database.close()


def disk(settings: Settings) -> Check:
    """Whether there is room for what will be flagged."""
    folder = _nearest(settings.store.segments)
    free, least = shutil.disk_usage(folder).free // MIB, settings.store.min_free_mb
    facts = {"free": _size(free), "where": str(folder), "least": _size(least)}
    if free < least:
        return fail("disk", "disk-low", shell("callguard case purge"), **facts)
    return warn("disk", "disk-soon", None, **facts) if free < least * 3 else ok("disk", "disk-ok", **facts)


def spool(settings: Settings) -> Check:
    """Whether the key script can leave presses here, and the daemon takes them away."""
    folder = settings.keys.spool_dir
    if not is_here(settings.asterisk.host):
        return skip("spool", "scripts-remote")
    owner = _who(USER)
    join = [f"usermod -aG {owner} {ASTERISK_USER}"] if _ids(ASTERISK_USER) else []
    paste = shell(f"install -d -o {owner} -g {owner} -m 2770 {folder}", *join)
    if not folder.is_dir():
        return fail("spool", "spool-none", paste, where=str(folder))
    for user in (USER, ASTERISK_USER):
        if not _may_write(folder, user):
            return fail("spool", "spool-closed", paste, where=str(folder), user=_who(user))
    waiting = sum(1 for _ in folder.glob("*.json"))
    if waiting > WAITING:
        return warn("spool", "spool-full", where=str(folder), count=str(waiting))
    return ok("spool", "spool-ok", where=str(folder))


async def clock(eyes: Eyes) -> Check:
    """Whether Asterisk's clock is ours: evidence is dated by both."""
    before = time.time()
    said = await eyes.value("EPOCH")
    if said is None or not said.isdigit():
        return skip("clock", "clock-unseen")
    apart = min(abs(int(said) - before), abs(int(said) - time.time()))
    if apart > APART_S:
        return fail("clock", "clock-off", shell("timedatectl set-ntp true"), seconds=f"{apart:.0f}")
    return ok("clock", "clock-ok")


def _writable(name: str, path: Path, good: str, bad: str) -> Check:
    where = _nearest(path)
    if _may_write(where, USER):
        return ok(name, good, where=str(path))
    user = _who(USER)
    return fail(name, bad, shell(f"install -d -o {user} -m 0750 {path}"), where=str(path), user=user)


def _nearest(path: Path) -> Path:
    """The path, or the first folder above it that exists."""
    return next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())


def _ids(user: str) -> tuple[int, frozenset[int]] | None:
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return None
    return entry.pw_uid, frozenset(os.getgrouplist(user, entry.pw_gid))


def _who(user: str) -> str:
    """Whose eyes: this user's where we are root and it exists, else our own."""
    if os.geteuid() == 0 and _ids(user) is not None:
        return user
    return pwd.getpwuid(os.geteuid()).pw_name


def _may_write(path: Path, user: str) -> bool:
    ids = _ids(user)
    if os.geteuid() != 0 or ids is None:
        return os.access(path, os.W_OK)
    facts, (uid, groups) = path.stat(), ids
    if facts.st_uid == uid:
        return bool(facts.st_mode & stat.S_IWUSR)
    return bool(facts.st_mode & (stat.S_IWGRP if facts.st_gid in groups else stat.S_IWOTH))


def _size(mib: int) -> str:
    return f"{mib} MB" if mib < 2048 else f"{mib / 1024:.1f} GB"
