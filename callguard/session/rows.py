"""One guarded call as a row of the board."""

from __future__ import annotations

from callguard.bus.messages import CallRow
from callguard.model.ids import Role
from callguard.session.guarded import GuardedCall
from callguard.session.listening import Hearing


def row_of(guarded: GuardedCall, *, hearing: Hearing) -> CallRow:
    """The row as it is now."""
    call, view, policy = guarded.call, guarded.view, guarded.guard.policy
    caller = next(iter(call.of_role(Role.CALLER)), None)
    agent = next(reversed(call.of_role(Role.AGENT)), None)
    limits = sorted(limit.after_s for limit in policy.limits)
    return CallRow(
        call=call.id,
        at_ms=guarded.now_ms(),
        started_at=guarded.origin,
        sent_at=guarded.wall(),
        queue=call.queue,
        language=guarded.facts.language,
        caller_number=caller.number if caller else "",
        caller_name=caller.name if caller else "",
        caller_channel=caller.channel if caller else "",
        agent=agent.interface if agent else "",
        agent_name=agent.name if agent else "",
        agent_channel=agent.channel if agent else "",
        level=view.level,
        why=view.why,
        last_words=view.last_words,
        last_role=view.last_role,
        rung=guarded.judge.ladder.rung,
        rungs=len(policy.ladder),
        warnings=tuple(view.warnings),
        requests=tuple(view.requests.values()),
        flagged=guarded.judge.ladder.flagged,
        case=guarded.evidence.case or "",
        care=view.care,
        protected=bool(guarded.judge.ladder.excepted),
        held=any(leg.held for leg in call.legs),
        hearing=hearing.value,
        partial=call.partial,
        limit_s=limits[0] if limits else 0,
        presence=tuple(view.presence.values()),
        policy=policy.name,
        mode=policy.mode.value,
        ended=guarded.ended,
    )
