"""The audit: who did what to which thing, one chain for the whole store. No personal data of callers in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from callguard.store.chain import canonical, link, plain, stamp
from callguard.store.tables import audit

_POSTGRES_LOCK = 0x63616C6C


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One line of the audit. number: from 1, without gaps. hash: links it to the line before."""

    number: int
    at: datetime
    who: str
    verb: str
    thing: str
    data: Mapping[str, Any] = field(default_factory=dict)
    hash: str = ""


def append_audit(
    connection: Connection, *, at: datetime, who: str, verb: str, thing: str, data: Mapping[str, object]
) -> AuditLine:
    """Add one line within a write transaction."""
    in_turn(connection)
    last = connection.execute(sa.select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)).first()
    number, before = (last.number + 1, last.hash) if last else (1, "")
    text = canonical(data)
    line = AuditLine(number=number, at=at, who=plain(who), verb=verb, thing=plain(thing), data=json.loads(text))
    digest = link(before, chained(line))
    connection.execute(
        audit.insert().values(number=number, at=at, who=line.who, verb=verb, thing=line.thing, data=text, hash=digest)
    )
    return AuditLine(number=number, at=at, who=line.who, verb=verb, thing=line.thing, data=line.data, hash=digest)


def in_turn(connection: Connection) -> None:
    """From here to the end of the transaction no other writer passes this point. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRES_LOCK)))


def chained(line: AuditLine) -> dict[str, Any]:
    """What the hash of a line is over."""
    return {
        "number": line.number,
        "at": stamp(line.at),
        "who": line.who,
        "verb": line.verb,
        "thing": line.thing,
        "data": line.data,
    }


def read_audit(connection: Connection, *, thing: str | None = None, after: int = 0) -> Iterator[AuditLine]:
    """Lines in order, of one thing or of all, with numbers above ``after``."""
    query = sa.select(audit).where(audit.c.number > after).order_by(audit.c.number)
    if thing is not None:
        query = query.where(audit.c.thing == thing)
    for row in connection.execute(query):
        yield AuditLine(
            number=row.number,
            at=row.at,
            who=row.who,
            verb=row.verb,
            thing=row.thing,
            data=json.loads(row.data),
            hash=row.hash,
        )


def first_break(connection: Connection) -> int | None:
    """The number of the first line that was changed, or stands where another is missing; None if all is well."""
    before, number = "", 0
    for line in read_audit(connection):
        if line.number != number + 1 or line.hash != link(before, chained(line)):
            return number + 1
        before, number = line.hash, line.number
    return None
