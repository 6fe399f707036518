"""Supervisors' orders from the board: checked, audited, carried out, answered."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from callguard.bus.messages import Order, OrderAnswer
from callguard.model.action import Approval, BoardOrder, Effect, Refusal
from callguard.model.errors import CallguardError, Refused
from callguard.model.key import Key
from callguard.ports import Done
from callguard.session.guarded import GuardedCall

log = logging.getLogger(__name__)

LADDER = {"flag": Key.FLAG, "warn": Key.WARN, "handover": Key.HANDOVER, "end": Key.END}
PRESENCE = ("listen", "whisper", "barge")
SAME_CALL_S = 2.0
"""An order names its call by id and start; Asterisk may use an id again after a restart."""


async def carry_out(
    order: Order,
    call: GuardedCall | None,
    *,
    now: datetime,
    rest_back: Callable[[str], Awaitable[Done]],
) -> OrderAnswer:
    """Do what the order says, or say why not. Orders of the ladder are accepted here and decided by the policy."""
    if now >= order.expires_at:
        return OrderAnswer(done=False, refusal=Refusal.TOO_OLD.value)
    try:
        if order.what == "rest-back":
            return _answer(await rest_back(order.interface))
        if call is None or call.ended:
            return OrderAnswer(done=False, refusal=Refusal.CALL_OVER.value)
        if order.started_at is not None and abs((order.started_at - call.origin).total_seconds()) > SAME_CALL_S:
            return OrderAnswer(done=False, refusal=Refusal.CALL_OVER.value, detail="another call has this id now")
        return await _on_call(order, call)
    except CallguardError as error:
        return OrderAnswer(done=False, refusal=error.code)


async def _on_call(order: Order, call: GuardedCall) -> OrderAnswer:
    if order.what in PRESENCE:
        return _answer(await call.supervise(who=order.supervisor, mode=order.what, by=order.by))
    if order.what == "take-over":
        return _answer(await call.take_over(supervisor=order.supervisor, by=order.by))
    if order.what in ("approve", "refuse"):
        call.put(Approval(request=order.request, granted=order.what == "approve", by=order.by, at_ms=call.now_ms()))
        return OrderAnswer(done=True)
    wish = LADDER.get(order.what)
    if wish is None:
        raise Refused("there is no such order", code="order-unknown")
    refusal = await call.order(BoardOrder(id=order.id, what=wish, by=order.by, at_ms=call.now_ms()))
    return OrderAnswer(done=refusal is None, refusal=refusal.value if refusal else "")


def _answer(done: Done) -> OrderAnswer:
    ok = done.effect is Effect.DONE
    return OrderAnswer(done=ok, refusal="" if ok else done.effect.value, detail=done.detail)
