"""Webhooks and what is to be sent to them: kept until sent, so that a restart loses nothing and sends nothing twice."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from callguard.store.desk_tables import deliveries, webhooks
from callguard.store.store import Store

WAITS_S = (5, 30, 120, 600, 3600, 6 * 3600)
"""Between one try and the next. After the last one the delivery is given up and stays readable."""

KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One address that is told of events. queues: None for all."""

    id: str
    url: str
    secret: str = field(repr=False)
    events: tuple[str, ...]
    queues: tuple[str, ...] | None
    created_by: str
    created_at: datetime
    disabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One thing to tell one address."""

    id: str
    webhook: str
    event: str
    body: str = field(repr=False)
    created_at: datetime
    next_at: datetime | None
    tries: int
    done_at: datetime | None
    last: str


class Hooks:
    """Blocking and thread-safe, like the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, url: str, *, events: Sequence[str], queues: Sequence[str] | None, by: str) -> Webhook:
        """A new address; its secret is in the answer."""
        row = {
            "id": secrets.token_hex(5),
            "url": url,
            "secret": secrets.token_urlsafe(32),
            "events": list(events),
            "queues": None if queues is None else list(queues),
            "created_by": by,
            "created_at": self._store.now(),
            "disabled": False,
        }
        with self._store.writing() as link:
            link.execute(webhooks.insert().values(**row))
        return _webhook(row)

    def all(self) -> list[Webhook]:
        """Every address, oldest first."""
        with self._store.reading() as link:
            return [
                _webhook(row) for row in link.execute(sa.select(webhooks).order_by(webhooks.c.created_at)).mappings()
            ]

    def wanted(self, event: str) -> bool:
        """Whether any address wants this."""
        return any(event in hook.events and not hook.disabled for hook in self.all())

    def remove(self, hook: str) -> bool:
        """Forget an address and what it was still to be told."""
        with self._store.writing() as link:
            link.execute(deliveries.delete().where(deliveries.c.webhook == hook))
            return bool(link.execute(webhooks.delete().where(webhooks.c.id == hook)).rowcount)

    def queue(self, event: str, *, queue: str, body: str, mark: str, after_s: float = 0) -> int:
        """Something to tell everyone who wants it; once, however often the same ``mark`` comes. How many will hear."""
        now, told = self._store.now(), 0
        with self._store.writing() as link:
            link.execute(deliveries.delete().where(deliveries.c.created_at < now - KEPT))
            for row in link.execute(sa.select(webhooks).where(webhooks.c.disabled.is_(False))).mappings().all():
                hook = _webhook(row)
                if event not in hook.events or (hook.queues is not None and queue not in hook.queues):
                    continue
                delivery = _delivery_id(hook.id, event, mark)
                if link.execute(sa.select(deliveries.c.id).where(deliveries.c.id == delivery)).first():
                    continue
                link.execute(
                    deliveries.insert().values(
                        id=delivery,
                        webhook=hook.id,
                        event=event,
                        body=body,
                        created_at=now,
                        next_at=now + timedelta(seconds=after_s),
                        tries=0,
                        done_at=None,
                        last="",
                    )
                )
                told += 1
        return told

    def unqueue(self, event: str, mark: str) -> None:
        """Take back what was not sent yet."""
        with self._store.writing() as link:
            for hook in link.execute(sa.select(webhooks.c.id)).scalars().all():
                link.execute(
                    deliveries.delete().where(
                        deliveries.c.id == _delivery_id(hook, event, mark), deliveries.c.done_at.is_(None)
                    )
                )

    def due(self, *, limit: int = 20) -> list[tuple[Delivery, Webhook]]:
        """What is to be sent now. Each is put off at once, so that a second desk does not send it too."""
        now = self._store.now()
        with self._store.reading() as link:
            if not link.execute(sa.select(deliveries.c.id).where(deliveries.c.next_at <= now).limit(1)).first():
                return []
        with self._store.writing() as link:
            query = sa.select(deliveries).where(deliveries.c.next_at <= now).order_by(deliveries.c.next_at).limit(limit)
            found = [_delivery(row) for row in link.execute(query).mappings().all()]
            hooks = {row["id"]: _webhook(row) for row in link.execute(sa.select(webhooks)).mappings()}
            for one in found:
                wait = WAITS_S[min(one.tries, len(WAITS_S) - 1)]
                link.execute(
                    deliveries.update()
                    .where(deliveries.c.id == one.id)
                    .values(tries=one.tries + 1, next_at=now + timedelta(seconds=wait))
                )
            return [(one, hooks[one.webhook]) for one in found if one.webhook in hooks]

    def sent(self, delivery: Delivery, *, ok: bool, said: str) -> None:
        """What came of one try."""
        values: dict[str, object] = {"last": said[:120]}
        if ok:
            values |= {"done_at": self._store.now(), "next_at": None}
        elif delivery.tries + 1 > len(WAITS_S):
            values["next_at"] = None
        with self._store.writing() as link:
            link.execute(deliveries.update().where(deliveries.c.id == delivery.id).values(**values))

    def lately(self, *, limit: int = 50) -> list[Delivery]:
        """The newest deliveries, for the page that shows them."""
        query = sa.select(deliveries).order_by(deliveries.c.created_at.desc()).limit(limit)
        with self._store.reading() as link:
            return [_delivery(row) for row in link.execute(query).mappings()]


def _delivery_id(hook: str, event: str, mark: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{hook}/{event}/{mark}"))


def _webhook(row: Any) -> Webhook:
    facts = {name: row[name] for name in Webhook.__slots__}
    facts["events"] = tuple(facts["events"])
    facts["queues"] = None if facts["queues"] is None else tuple(facts["queues"])
    return Webhook(**facts)


def _delivery(row: Any) -> Delivery:
    return Delivery(**{name: row[name] for name in Delivery.__slots__})
