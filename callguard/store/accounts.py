"""Accounts of the desk: people, passwords, sign-ins, tokens.

Nothing that opens a door is stored: passwords as argon2id, cookies and tokens as SHA-256. A wrong guess costs the
guesser time (per name and per address), and the answer to it never says which part was wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from callguard.model.errors import Refused
from callguard.store.desk_tables import attempts, sessions, tokens, users, writing

LEAST_PASSWORD = 12
"""Characters. Length is what counts (NIST SP 800-63B asks for no mix of kinds of letters)."""

WINDOW = timedelta(minutes=15)
MOST_PER_NAME = 5
MOST_PER_HOST = 20
TOKEN_MARK = "cg_"  # noqa: S105 - how a token begins, so that scanners find leaked ones

_TOO_COMMON = ("password", "passw0rd", "123456", "qwerty", "letmein", "callguard", "welcome", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One person. queues, teams: None for all. agent: their name at the telephone. phone: rings for listening in."""

    name: str
    display: str
    roles: tuple[str, ...]
    queues: tuple[str, ...] | None
    teams: tuple[str, ...] | None
    agent: str
    phone: str
    language: str
    theme: str
    disabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """One signed-in browser. id: hash of its cookie. csrf: what its forms must carry."""

    id: str
    user: str
    csrf: str
    host: str
    browser: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A key to the API that stands for its owner, limited to ``verbs``."""

    id: str
    name: str
    user: str
    verbs: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None


def utc_now() -> datetime:
    """The wall clock, aware UTC."""
    return datetime.now(UTC)


class Accounts:
    """All doors of the desk. Blocking: call it from a thread."""

    def __init__(
        self, engine: Engine, *, now: Callable[[], datetime] = utc_now, argon: PasswordHasher | None = None
    ) -> None:
        self._engine = engine
        self._writes = writing(engine)
        self._now = now
        self._argon = argon or PasswordHasher()
        self._nobody = self._argon.hash(secrets.token_hex(16))
        # one argon2id run takes 64 MiB: a flood of sign-ins must queue, not fill the memory
        self._at_once = threading.BoundedSemaphore(3)

    # people

    def add(
        self,
        name: str,
        password: str,
        *,
        roles: Sequence[str],
        display: str = "",
        queues: Sequence[str] | None = None,
        teams: Sequence[str] | None = None,
        agent: str = "",
        phone: str = "",
        language: str = "",
    ) -> Account:
        """Make an account. Raises Refused: "name-wrong", "name-taken", "password-weak"."""
        if not name or len(name) > 64 or not all(letter.isalnum() or letter in "._-@" for letter in name):
            raise Refused(
                "a user name is letters, digits, dot, dash, underscore or @",
                code="name-wrong",
                hint="choose a name like kana.sato",
            )
        check_strength(password, name=name)
        row = {
            "name": name,
            "display": display or name,
            "password": self._hash(password),
            "roles": list(roles),
            "queues": None if queues is None else list(queues),
            "teams": None if teams is None else list(teams),
            "agent": agent,
            "phone": phone,
            "language": language,
            "theme": "",
            "disabled": False,
            "created_at": self._now(),
            "password_at": self._now(),
        }
        try:
            with self._writes.begin() as link:
                link.execute(insert(users).values(**row))
        except IntegrityError as error:
            raise Refused("there is an account of this name", code="name-taken", hint="choose another") from error
        return _account(row)

    def change(self, name: str, **fields: Any) -> None:
        """Set display, roles, queues, teams, agent, phone, language, theme or disabled. Raises Refused "no-account".

        Disabling ends every sign-in and token of the account at once.
        """
        values = {key: list(value) if isinstance(value, list | tuple) else value for key, value in fields.items()}
        with self._writes.begin() as link:
            if not link.execute(update(users).where(users.c.name == name).values(**values)).rowcount:
                raise _no_account()
            if fields.get("disabled"):
                link.execute(_revoked(sessions, self._now()).where(sessions.c.user == name))
                link.execute(_revoked(tokens, self._now()).where(tokens.c.user == name))

    def set_password(self, name: str, password: str, *, keep: str = "") -> None:
        """A new password ends every other sign-in. keep: id of the one that stays. Raises Refused."""
        check_strength(password, name=name)
        hashed = self._hash(password)
        with self._writes.begin() as link:
            changed = link.execute(
                update(users).where(users.c.name == name).values(password=hashed, password_at=self._now())
            )
            if not changed.rowcount:
                raise _no_account()
            link.execute(_revoked(sessions, self._now()).where(sessions.c.user == name).where(sessions.c.id != keep))

    def get(self, name: str) -> Account | None:
        """The account, disabled ones too."""
        with self._engine.connect() as link:
            row = link.execute(select(users).where(users.c.name == name)).mappings().first()
        return _account(row) if row else None

    def all(self) -> list[Account]:
        """Every account, by name."""
        with self._engine.connect() as link:
            return [_account(row) for row in link.execute(select(users).order_by(users.c.name)).mappings()]

    # signing in

    def check(self, name: str, password: str, *, host: str) -> Account:
        """The account this password opens. Raises Refused "sign-in-wrong" or "sign-in-locked"."""
        self._refuse_locked(name, host)
        with self._engine.connect() as link:
            row = link.execute(select(users).where(users.c.name == name)).mappings().first()
        right = self._verify(row["password"] if row else self._nobody, password)
        if not row or not right or row["disabled"]:
            self._count(name, host)
            raise Refused("name or password is wrong", code="sign-in-wrong")
        with self._writes.begin() as link:
            link.execute(delete(attempts).where(attempts.c.name == _short(name)))
            if self._argon.check_needs_rehash(row["password"]):
                link.execute(update(users).where(users.c.name == name).values(password=self._hash(password)))
        return _account(row)

    def vouched(self, name: str, *, host: str) -> Account:
        """The account of a name somebody else vouched for. Raises Refused "sign-in-unknown" or "sign-in-locked"."""
        self._refuse_locked(name, host)
        account = self.get(name)
        if account is None or account.disabled:
            self._count(name, host)
            raise Refused("there is no account of this name here", code="sign-in-unknown")
        return account

    def open(self, name: str, *, host: str, browser: str, hours: float) -> tuple[str, SignIn]:
        """A new sign-in: the cookie's value, said only here, and its row."""
        cookie = secrets.token_urlsafe(32)
        now = self._now()
        row = {
            "id": _sha(cookie),
            "user": name,
            "csrf": secrets.token_urlsafe(24),
            "host": host[:64],
            "browser": browser[:200],
            "created_at": now,
            "seen_at": now,
            "expires_at": now + timedelta(hours=hours),
            "revoked_at": None,
        }
        with self._writes.begin() as link:
            link.execute(delete(sessions).where(sessions.c.expires_at < now - timedelta(days=30)))
            link.execute(insert(sessions).values(**row))
        return cookie, _sign_in(row)

    def signed_in(self, cookie: str) -> tuple[Account, SignIn] | None:
        """Who this cookie stands for, None where it is unknown, over, revoked, or its account is disabled."""
        now = self._now()
        with self._engine.connect() as link:
            row = (
                link.execute(
                    select(sessions)
                    .where(sessions.c.id == _sha(cookie))
                    .where(sessions.c.revoked_at.is_(None))
                    .where(sessions.c.expires_at > now)
                )
                .mappings()
                .first()
            )
            user = row and link.execute(select(users).where(users.c.name == row["user"])).mappings().first()
        if not row or not user or user["disabled"]:
            return None
        if now - row["seen_at"] > timedelta(minutes=5):
            with self._writes.begin() as link:
                link.execute(update(sessions).where(sessions.c.id == row["id"]).values(seen_at=now))
        return _account(user), _sign_in(row)

    def sign_ins(self, name: str) -> list[SignIn]:
        """Open sign-ins of one account, newest first."""
        with self._engine.connect() as link:
            rows = link.execute(
                select(sessions)
                .where(sessions.c.user == name)
                .where(sessions.c.revoked_at.is_(None))
                .where(sessions.c.expires_at > self._now())
                .order_by(sessions.c.created_at.desc())
            ).mappings()
            return [_sign_in(row) for row in rows]

    def revoke(self, sign_in: str, *, user: str) -> bool:
        """End one sign-in of this user. False where there is no such."""
        with self._writes.begin() as link:
            ended = link.execute(
                _revoked(sessions, self._now()).where(sessions.c.id == sign_in).where(sessions.c.user == user)
            )
        return bool(ended.rowcount)

    # tokens

    def make_token(self, user: str, *, name: str, verbs: Sequence[str], days: int | None = 365) -> tuple[str, Token]:
        """A token: its text, said only here, and its row."""
        text = TOKEN_MARK + secrets.token_urlsafe(32)
        now = self._now()
        row = {
            "id": secrets.token_hex(4),
            "name": name[:120],
            "secret": _sha(text),
            "user": user,
            "verbs": sorted(verbs),
            "created_at": now,
            "expires_at": None if days is None else now + timedelta(days=days),
            "used_at": None,
            "revoked_at": None,
        }
        with self._writes.begin() as link:
            link.execute(insert(tokens).values(**row))
        return text, _token(row)

    def token(self, text: str) -> tuple[Account, Token] | None:
        """Whom a token stands for, None where it opens nothing."""
        now = self._now()
        with self._engine.connect() as link:
            row = link.execute(select(tokens).where(tokens.c.secret == _sha(text))).mappings().first()
            user = row and link.execute(select(users).where(users.c.name == row["user"])).mappings().first()
        if not row or not user or user["disabled"] or row["revoked_at"]:
            return None
        if row["expires_at"] and row["expires_at"] <= now:
            return None
        if not row["used_at"] or now - row["used_at"] > timedelta(minutes=5):
            with self._writes.begin() as link:
                link.execute(update(tokens).where(tokens.c.id == row["id"]).values(used_at=now))
        return _account(user), _token(row)

    def all_tokens(self) -> list[Token]:
        """Every token that was ever made, newest first."""
        with self._engine.connect() as link:
            return [_token(row) for row in link.execute(select(tokens).order_by(tokens.c.created_at.desc())).mappings()]

    def revoke_token(self, token_id: str) -> bool:
        """End a token. False where there is no such."""
        with self._writes.begin() as link:
            return bool(link.execute(_revoked(tokens, self._now()).where(tokens.c.id == token_id)).rowcount)

    # inside

    def _refuse_locked(self, name: str, host: str) -> None:
        since = self._now() - WINDOW
        with self._engine.connect() as link:
            per_name, per_host = (
                link.execute(
                    select(func.count()).select_from(attempts).where(column == value).where(attempts.c.at > since)
                ).scalar_one()
                for column, value in ((attempts.c.name, _short(name)), (attempts.c.host, host[:64]))
            )
        if per_name >= MOST_PER_NAME or per_host >= MOST_PER_HOST:
            raise Refused("too many wrong sign-ins", code="sign-in-locked", hint="wait a quarter of an hour")

    def _count(self, name: str, host: str) -> None:
        now = self._now()
        with self._writes.begin() as link:
            link.execute(delete(attempts).where(attempts.c.at < now - WINDOW * 2))
            link.execute(insert(attempts).values(at=now, name=_short(name), host=host[:64]))

    def _hash(self, password: str) -> str:
        with self._at_once:
            return self._argon.hash(password)

    def _verify(self, hashed: str, password: str) -> bool:
        with self._at_once:
            try:
                return self._argon.verify(hashed, password)
            except (VerificationError, InvalidHashError):
                return False


def check_strength(password: str, *, name: str) -> None:
    """Raises Refused "password-weak"."""
    small = password.lower()
    simple = len(set(password)) < 5 or any(small.strip("0123456789!._-") == word for word in _TOO_COMMON)
    if len(password) < LEAST_PASSWORD or len(password) > 1024 or simple or (name and small == name.lower()):
        raise Refused(
            f"a password has at least {LEAST_PASSWORD} characters and is not a common word",
            code="password-weak",
            hint="four or five words that do not belong together make a good one",
        )


def same(one: str, other: str) -> bool:
    """Whether two secrets are the same, in a time that says nothing."""
    return hmac.compare_digest(one.encode(), other.encode())


def _no_account() -> Refused:
    return Refused("there is no account of this name", code="no-account", hint="callguard user list shows all")


def _short(name: str) -> str:
    return name[:64]


def _sha(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _revoked(table: Any, now: datetime) -> Any:
    return update(table).where(table.c.revoked_at.is_(None)).values(revoked_at=now)


def _account(row: Any) -> Account:
    return Account(
        name=row["name"],
        display=row["display"],
        roles=tuple(row["roles"]),
        queues=None if row["queues"] is None else tuple(row["queues"]),
        teams=None if row["teams"] is None else tuple(row["teams"]),
        agent=row["agent"],
        phone=row["phone"],
        language=row["language"],
        theme=row["theme"],
        disabled=row["disabled"],
        created_at=row["created_at"],
    )


def _sign_in(row: Any) -> SignIn:
    names = ("id", "user", "csrf", "host", "browser", "created_at", "seen_at", "expires_at")
    return SignIn(**{name: row[name] for name in names})


def _token(row: Any) -> Token:
    names = ("id", "name", "user", "created_at", "expires_at", "used_at", "revoked_at")
    return Token(verbs=tuple(row["verbs"]), **{name: row[name] for name in names})
