"""Telling other programs: events signed with HMAC-SHA256, tried again until they are taken.

Header ``Callguard-Signature: t=<seconds>,v1=<hex>``; the hex is HMAC-SHA256 with the webhook's secret over
``<seconds>.<body>``. ``Callguard-Delivery`` stays the same over all tries. No caller's number, name or word is in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx

from callguard.bus.messages import CaseChanged
from callguard.model.errors import CallguardError, Refused
from callguard.model.ids import CaseId
from callguard.store.desk_hooks import Delivery, Webhook
from callguard.store.reading import CaseLine
from callguard.store.reviews import UNDO
from callguard.web.desk import Desk

log = logging.getLogger("callguard.desk")

EVENTS = ("flag", "case", "verdict")
EVERY_S = 1.0
TIMEOUT_S = 10.0


def check_address(url: str) -> None:
    """Raises Refused "url-wrong": https, or plain http to this very machine."""
    parts = urlsplit(url)
    near = parts.hostname in ("127.0.0.1", "::1", "localhost")
    if parts.scheme not in ("https", "http") or not parts.hostname or (parts.scheme == "http" and not near):
        raise Refused("an address begins with https://", code="url-wrong")


def signature(secret: str, body: str, *, at_s: int) -> str:
    """The signature header of this body."""
    digest = hmac.new(secret.encode(), f"{at_s}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def body_of(event: str, line: CaseLine, more: dict[str, Any]) -> str:
    """What is told: which case, where, what kind; nothing of the caller."""
    facts = {
        "event": event,
        "case": line.id,
        "queue": line.queue,
        "status": line.status.value,
        "severity": line.severity,
        "kinds": list(line.kinds),
        "opened_at": line.opened_at.isoformat(),
        **more,
    }
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":"))


def tell_later(desk: Desk, event: str, line: CaseLine, more: dict[str, Any], *, mark: str) -> None:
    """Queue a verdict until it can no longer be taken back."""
    desk.hooks.queue(
        event, queue=line.queue, body=body_of(event, line, more), mark=mark, after_s=UNDO.total_seconds() + 2
    )


def untell(desk: Desk, mark: str) -> None:
    """A verdict was taken back before anybody was told."""
    desk.hooks.unqueue("verdict", mark)


async def tell_case(desk: Desk, change: CaseChanged) -> None:
    """Queue what the board heard of a case: opened is "flag", finished is "case". Each once."""
    event = {"opened": "flag", "finished": "case"}.get(change.status)
    if event:
        try:
            await asyncio.to_thread(_queue_case, desk, event, CaseId(change.case))
        except CallguardError as error:
            log.error("an event could not be queued for webhooks", extra={"code": error.code})


def _queue_case(desk: Desk, event: str, case: CaseId) -> None:
    if not desk.hooks.wanted(event):
        return
    line = desk.store.case_line(case)
    if line is not None:
        desk.hooks.queue(event, queue=line.queue, body=body_of(event, line, {}), mark=case)


async def keep_sending(desk: Desk) -> None:
    """Send what is due, until cancelled."""
    async with httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False) as client:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(desk.board.closing.wait(), EVERY_S)
                return
            await send_due(desk, client)


async def send_due(desk: Desk, client: httpx.AsyncClient) -> int:
    """Send everything that is due now, side by side. How many were taken."""
    try:
        due = await asyncio.to_thread(desk.hooks.due)
        taken = await asyncio.gather(*(_send(desk, client, delivery, hook) for delivery, hook in due))
    except CallguardError as error:
        log.error("webhooks could not be sent", extra={"code": error.code})
        return 0
    return sum(taken)


async def _send(desk: Desk, client: httpx.AsyncClient, delivery: Delivery, hook: Webhook) -> bool:
    headers = {
        "content-type": "application/json",
        "callguard-event": delivery.event,
        "callguard-delivery": delivery.id,
        "callguard-signature": signature(hook.secret, delivery.body, at_s=int(time.time())),
    }
    try:
        answer = await client.post(hook.url, content=delivery.body.encode(), headers=headers)
        ok, said = answer.is_success, str(answer.status_code)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        ok, said = False, type(error).__name__
    await asyncio.to_thread(desk.hooks.sent, delivery, ok=ok, said=said)
    return ok
