"""Orders of people at the board: the right, the check, the audit, the message, and what came of it."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass
from datetime import timedelta

from pydantic import ValidationError

from callguard.access import Verb
from callguard.bus.link import Bus
from callguard.bus.messages import CallRow, Order, OrderAnswer
from callguard.bus.topics import ANSWER_PREFIX, ORDERS
from callguard.model.errors import BusFault, Refused
from callguard.store.accounts import utc_now
from callguard.web.desk import Desk, Visitor
from callguard.web.doors import allow

VERB_OF = {
    "flag": Verb.FLAG,
    "warn": Verb.WARN,
    "handover": Verb.HANDOVER,
    "end": Verb.END,
    "listen": Verb.LISTEN,
    "whisper": Verb.WHISPER,
    "barge": Verb.BARGE,
    "take-over": Verb.TAKE_OVER,
    "approve": Verb.APPROVE,
    "refuse": Verb.APPROVE,
    "rest-back": Verb.REST_BACK,
}

NEEDS_PHONE = frozenset({"listen", "whisper", "barge", "take-over"})

SURE_FIRST = frozenset({"barge", "take-over", "end", "handover"})
"""The caller hears or feels these: the page asks once more."""

EXPIRES = timedelta(seconds=10)
ANSWER_S = 12.0
"""Spying rings a telephone first; longer than the order lives, since its effect is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was pressed."""

    what: str
    call: str
    started_at: str = ""
    request: str = ""


def check(desk: Desk, who: Visitor, wish: Wish) -> CallRow:
    """The call's row, if this may be asked now. Raises Refused."""
    verb = VERB_OF.get(wish.what)
    if verb is None:
        raise Refused("there is no such order", code="order-unknown")
    live = desk.board.calls.get(wish.call)
    if live is None or (live.row.ended and wish.what != "rest-back"):
        raise Refused("the call is over", code="call-over")
    row = live.row
    allow(desk, who, Verb.SEE_BOARD, desk.thing(queue=row.queue, agent=row.agent))
    allow(desk, who, verb, desk.thing(queue=row.queue, agent=row.agent))
    if wish.started_at and wish.started_at != row.started_at.isoformat():
        raise Refused("another call has this place now", code="call-over")
    if wish.what in NEEDS_PHONE and not who.account.phone:
        raise Refused("no telephone is set in your account", code="no-phone", hint="set it under your name")
    if wish.what in ("approve", "refuse") and wish.request not in {one.request for one in row.requests}:
        raise Refused("this request is no longer open", code="request-over")
    return row


async def carry(desk: Desk, who: Visitor, wish: Wish, row: CallRow) -> OrderAnswer:
    """Audit, send, wait, audit what came of it. Raises BusFault where nobody can be asked."""
    if desk.bus is None:
        raise BusFault("this desk runs without live calls", code="bus-away")
    order = Order(
        id=str(uuid.uuid4()),
        what=wish.what,
        call=row.call,
        started_at=row.started_at,
        by=who.account.name,
        supervisor=who.account.phone if wish.what in NEEDS_PHONE else "",
        request=wish.request,
        interface=row.agent if wish.what == "rest-back" else "",
        expires_at=utc_now() + EXPIRES,
    )
    facts = {"order": order.id, "queue": row.queue, "request": wish.request, "case": row.case}
    await asyncio.to_thread(desk.audit, who.name, f"order-{wish.what}", row.call, **facts)
    answer = await _ask(desk.bus, order)
    told = {"order": order.id, "done": answer.done, "refusal": answer.refusal}
    await asyncio.to_thread(desk.audit, who.name, f"order-{wish.what}-answer", row.call, **told)
    return answer


async def _ask(bus: Bus, order: Order) -> OrderAnswer:
    await bus.publish(ORDERS, json.loads(order.model_dump_json()))
    try:
        got = await bus.client.blpop([ANSWER_PREFIX + order.id], timeout=ANSWER_S)
    except Exception as error:
        # the client's own exceptions are known to bus/ alone
        raise BusFault("the order was sent, its answer did not come", code="order-unanswered") from error
    if got is None:
        return OrderAnswer(done=False, refusal="order-unanswered")
    try:
        return OrderAnswer.model_validate_json(got[1])
    except ValidationError as error:
        raise BusFault("the order's answer cannot be read", code="order-unanswered") from error
