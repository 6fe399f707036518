"""What ``callguard init`` writes: made from the policy and the shipped files, with a secret of its own."""

from __future__ import annotations

import contextlib
import difflib
import grp
import json
import os
import re
import secrets
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from callguard.model.errors import SettingsError
from callguard.model.policy import Policy
from callguard.policy.keys import dynamic_features, features_conf
from callguard.policyfile import load_policy
from callguard.shipped import shipped, shipped_root

DEFAULT_POLICY = "policies/en.toml"
SECRET = "CHANGE-ME"  # noqa: S105 - the shipped file's mark, not a secret
INCLUDES = {
    "extensions.conf": ("extensions_callguard.conf", "destinations_callguard.conf"),
    "features.conf": ("features_callguard.conf",),
    "manager.conf": ("manager_callguard.conf",),
}
"""A file of Asterisk -> what it should include."""

LOOKER = "[callguard-doctor](callguard)"

_KEYS = re.compile(r"(?<=LOCAL\(cg_keys\)=)[^)]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One file. once: made where it is missing, and the admin's own from then on. group: who else may read it."""

    file: Path
    text: str
    once: bool = False
    group: str = ""
    secret: str = ""

    @property
    def mode(self) -> int:
        """Files with a secret are for their reader alone."""
        return 0o640 if self.secret else 0o644


class Fate(StrEnum):
    """What became of a file."""

    WRITTEN = "written"
    REPLACED = "replaced"
    SAME = "same"
    KEPT = "kept"
    DIFFERS = "differs"
    MISSING = "would be"


def wanted(folder: Path, policy: Path | None) -> Iterator[Wanted]:
    """Every file, in the order in which an admin thinks of them. Raises SettingsError for a broken policy."""
    read = load_policy(policy or shipped(DEFAULT_POLICY))
    ours, theirs = folder / "callguard", folder / "asterisk"
    secret = known_secret(ours / "callguard.toml", theirs / "manager_callguard.conf") or secrets.token_urlsafe(24)
    yield Wanted(
        file=ours / "callguard.toml", text=settings_toml(policy, secret), group="callguard", secret=secret, once=True
    )
    yield Wanted(file=ours / "agi.conf", text=_shipped("agi.conf"), group="asterisk", once=True)
    yield Wanted(file=theirs / "extensions_callguard.conf", text=extensions_conf(read))
    yield Wanted(file=theirs / "features_callguard.conf", text=features_conf(read))
    yield Wanted(file=theirs / "destinations_callguard.conf", text=destinations_conf(read), once=True)
    text = manager_conf(secret)
    yield Wanted(file=theirs / "manager_callguard.conf", text=text, group="asterisk", secret=secret)


def known_secret(settings: Path, manager: Path) -> str:
    """The manager's secret as an earlier ``init`` (or the admin) wrote it, "" where there is none yet."""
    with contextlib.suppress(OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        found = tomllib.loads(settings.read_text(encoding="utf-8")).get("asterisk", {})
        if isinstance(found, dict) and isinstance(found.get("secret"), str) and found["secret"]:
            return str(found["secret"])
    with contextlib.suppress(OSError, UnicodeDecodeError):
        line = re.search(r"^secret\s*=>?\s*(\S+)", manager.read_text(encoding="utf-8"), re.MULTILINE)
        if line and line[1] != SECRET:
            return line[1].replace("\\;", ";")
    return ""


def settings_toml(policy: Path | None, secret: str) -> str:
    """The shipped settings with this secret, and this policy where one was named."""
    quoted = f"secret = {json.dumps(secret)}"
    text = re.sub(r'^#secret = ""', lambda found: quoted, _shipped("callguard.toml"), flags=re.MULTILINE)
    if policy is not None:
        line = f'file = "{policy.resolve()}"'
        text = re.sub(r'^#file = "[^"]*"', lambda found: line, text, flags=re.MULTILINE)
    return text


def manager_conf(secret: str) -> str:
    """The shipped account with this secret, and beside it the one that looks while the daemon holds its own."""
    text = _dialplan("manager_callguard.conf").replace(SECRET, secret.replace(";", "\\;"))
    return text if LOOKER in text else f"{text}\n; For callguard doctor beside a running daemon.\n{LOOKER}\n"


def extensions_conf(policy: Policy) -> str:
    """The dialplan, giving agents the keys that this policy has and no others."""
    return _KEYS.sub(lambda found: dynamic_features(policy), _dialplan("extensions_callguard.conf"))


def destinations_conf(policy: Policy) -> str:
    """A context with one extension for each of the policy's destinations, for the admin to make their own."""
    head = _dialplan("destinations_callguard.conf").split("exten =>", 1)[0]
    rows = [
        f"; {name}\nexten => {extension},1,Queue(callguard-desk,b(callguard-agent^s^1),,,300)\n same => n,Hangup()"
        for name, extension in policy.destinations.allowed
    ]
    return head + "\n".join(rows) + "\n"


def place(one: Wanted, *, force: bool, dry: bool) -> tuple[Fate, str]:
    """Write a file unless another one stands there; its fate, and the difference. Raises SettingsError."""
    try:
        old = one.file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if not dry:
            _write(one)
        return (Fate.MISSING if dry else Fate.WRITTEN), ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot be read: {error}", where=str(one.file), code="file-unreadable") from None
    if old == one.text:
        return Fate.SAME, ""
    if one.once:
        return Fate.KEPT, ""
    if force and not dry:
        shutil.copy2(one.file, one.file.with_name(f"{one.file.name}.old"))
        _write(one)
        return Fate.REPLACED, ""
    return Fate.DIFFERS, _diff(one, old)


def _diff(one: Wanted, old: str) -> str:
    """What would change; secrets are masked."""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), one.text.splitlines(keepends=True), str(one.file), f"{one.file} (new)"
    )
    text = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
    return re.sub(r"(?m)^([-+ ]\s*secret\s*=>?\s*).*$", r"\1********", text)


def _write(one: Wanted) -> None:
    """Whole or not at all, and never readable by others for a moment."""
    try:
        one.file.parent.mkdir(parents=True, exist_ok=True)
        half = one.file.with_name(f".{one.file.name}.new")
        half.unlink(missing_ok=True)
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(one.text)
        if one.group:
            with contextlib.suppress(KeyError, PermissionError):
                os.chown(half, -1, grp.getgrnam(one.group).gr_gid)
        half.chmod(one.mode)
        half.replace(one.file)
    except OSError as error:
        raise SettingsError(
            f"cannot be written: {error.strerror}",
            where=str(one.file),
            code="file-not-writable",
            hint="run as root, or name another folder with --dir",
        ) from None


def next_steps(folder: Path, policy: Path | None) -> Iterator[str]:
    """What is left to do by hand, one line each."""
    asterisk, settings = folder / "asterisk", folder / "callguard" / "callguard.toml"
    yield "next:"
    if policy is not None and settings.is_file() and not _names(settings, policy):
        yield f'  into {settings}, [policy]:   file = "{policy.resolve()}"'
    for file, names in INCLUDES.items():
        lines = [f"#include {name}" for name in names if not _includes(asterisk / file, name)]
        if lines:
            yield f"  into {asterisk / file}:   {'   '.join(lines)}"
    yield "  where calls come in:      Gosub(callguard-guard,s,1(queue))   before Queue() or Dial()"
    yield "  where agents are rung:    Queue(queue,tb(callguard-agent^s^1))"
    yield f"  install -m 755 {_part('agi_scripts', 'shipped_agi')}/*.py /usr/share/asterisk/agi-bin/"
    yield "  callguard prompts install"
    yield "  asterisk -rx 'core reload'"
    yield f"  callguard doctor --settings {settings}"
    yield "  callguard run"


def _names(settings: Path, policy: Path) -> bool:
    with contextlib.suppress(OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        named = tomllib.loads(settings.read_text(encoding="utf-8")).get("policy", {}).get("file", "")
        return (settings.parent / str(named)).resolve() == policy.resolve()
    return False


def _includes(file: Path, name: str) -> bool:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = file.read_text(encoding="utf-8")
        return bool(re.search(rf"^\s*#include\s+\"?(?:[^\s\"]*/)?{re.escape(name)}\"?", text, re.MULTILINE))
    return False


def _shipped(name: str) -> str:
    return shipped(name).read_text(encoding="utf-8")


def _dialplan(name: str) -> str:
    return (_part("dialplan", "shipped_dialplan") / name).read_text(encoding="utf-8")


def _part(name: str, in_wheel: str) -> Path:
    """A top-level folder of a checkout, or its copy in a wheel."""
    top = shipped_root().parent
    return top / name if (top / name).is_dir() else top / in_wheel
