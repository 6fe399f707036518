"""Agents' keys on their way in: from the key script over the bus or the spool, and from digits seen by the PBX.

The script's word comes first, since it waits for an answer. Digits alone make a press only when no script brought the
same one a moment before or after: then the dialplan is not doing its part, and the key still works.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from callguard.model.action import Refusal
from callguard.model.call import PbxNote
from callguard.model.ids import CallId, LegId
from callguard.model.key import Key, KeyPress, SeenBy
from callguard.model.policy import KeyMap
from callguard.session.guarded import Asked, GuardedCall

log = logging.getLogger(__name__)

DIGIT_GAP_MS = 1500
"""Longer between two digits, and they are not one key."""

SCRIPT_WAIT_S = 0.8
"""So long a script may come after its digits: its own deadline of 300 ms, Gosub and AGI start."""

TWIN_MS = 1500
LONGEST_SPOOLED = 8192
SETTLE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAsked:
    """One message of the key script, checked."""

    id: str
    key: Key
    uniqueid: str
    linkedid: str
    channel: str
    pressed_at: datetime


def read_key(fields: Mapping[str, str]) -> KeyAsked | None:
    """The message, or None where it is not one. Everything in it is text from outside."""
    try:
        pressed_ms = int(fields["pressed_at_ms"])
        return KeyAsked(
            id=str(fields["id"])[:80],
            key=Key(fields["key"]),
            uniqueid=str(fields["uniqueid"])[:150],
            linkedid=str(fields.get("linkedid", ""))[:150],
            channel=str(fields.get("channel", ""))[:300],
            pressed_at=datetime.fromtimestamp(pressed_ms / 1000, UTC),
        )
    except (KeyError, ValueError, OverflowError, OSError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What presses need of the house.

    place: which leg of which call a channel is. call: the guarded call. keys: the key map that holds for it.
    refuse: why a key on a channel without a call is refused. answer: to the script. late: a key for a call that is
    not there any more, to be kept on record.
    """

    place: Callable[[str], tuple[CallId, LegId] | None]
    call: Callable[[CallId], GuardedCall | None]
    refuse: Callable[[str], Refusal]
    answer: Callable[[str, dict[str, str]], Awaitable[None]]
    late: Callable[[KeyAsked, SeenBy, Refusal], Awaitable[None]]
    wall: Callable[[], datetime]


class Presses:
    """See the module. ``known``: ids of presses an earlier life of the daemon stored already."""

    def __init__(self, exchange: Exchange) -> None:
        self.known: set[str] = set()
        self._exchange = exchange
        self._digits: dict[LegId, list[tuple[str, int]]] = {}
        self._scripted: deque[tuple[LegId, Key, int]] = deque(maxlen=500)
        self._seen_digits: deque[tuple[LegId, Key, int]] = deque(maxlen=500)
        self._waiting: set[asyncio.Task[None]] = set()

    async def take(self, fields: Mapping[str, str], *, seen_by: SeenBy = SeenBy.FEATURE) -> bool:
        """One message. True once it is settled (stored, or nothing to store); False: bring it again later."""
        asked = read_key(fields)
        if asked is None:
            log.warning("a message on the key topic is not one")
            return True
        if asked.id in self.known:
            return True
        at = self._exchange.place(asked.uniqueid)
        call = self._exchange.call(at[0]) if at else None
        if at is None or call is None or call.closed:
            refusal = self._exchange.refuse(asked.uniqueid)
            if seen_by is SeenBy.FEATURE:
                await self._exchange.answer(asked.id, {"tone": "refused", "say": "", "refusal": refusal.value})
            await self._exchange.late(asked, seen_by, refusal)
            return True
        press = self._press(call, at[1], asked, seen_by)
        self._scripted.append((at[1], asked.key, press.at_ms))
        twin = self._has_twin(self._seen_digits, at[1], asked.key, press.at_ms)
        event = Asked(press=press, pressed_at=asked.pressed_at, also_seen_by=SeenBy.DTMF.value if twin else "")
        call.put(event)
        try:
            async with asyncio.timeout(SETTLE_S):
                await event.settled.wait()
        except TimeoutError:
            return False
        self.known.add(asked.id)
        return True

    def _press(self, call: GuardedCall, leg: LegId, asked: KeyAsked, seen_by: SeenBy) -> KeyPress:
        at_ms = int((asked.pressed_at - call.origin).total_seconds() * 1000)
        age_ms = int((self._exchange.wall() - asked.pressed_at).total_seconds() * 1000)
        known = call.call.leg(leg)
        return KeyPress(
            id=asked.id,
            leg=leg,
            key=asked.key,
            at_ms=at_ms,
            age_ms=max(0, age_ms),
            seen_by=seen_by,
            by=known.interface if known else "",
        )

    # digits

    def digit(self, note: PbxNote, call: GuardedCall) -> None:
        """One digit of an agent's phone, as the PBX saw it."""
        if note.leg_id is None:
            return
        at_ms = note.at_ms - call.call.started_ms
        kept = self._digits.setdefault(note.leg_id, [])
        if kept and at_ms - kept[-1][1] > DIGIT_GAP_MS:
            kept.clear()
        kept.append((note.name, at_ms))
        del kept[:-8]
        key = pressed_key("".join(digit for digit, _ in kept), call.guard.policy.keys)
        if key is None:
            return
        kept.clear()
        self._seen_digits.append((note.leg_id, key, at_ms))
        refused = call.refusal_of(note.leg_id)
        task = asyncio.get_running_loop().create_task(
            self._unless_scripted(call, note.leg_id, key, at_ms, refused=refused)
        )
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _unless_scripted(
        self, call: GuardedCall, leg: LegId, key: Key, at_ms: int, *, refused: Refusal | None
    ) -> None:
        """The same digits may have meant something to Asterisk: what counts is where the agent was when pressing."""
        await asyncio.sleep(SCRIPT_WAIT_S)
        if self._has_twin(self._scripted, leg, key, at_ms) or call.closed:
            return
        known = call.call.leg(leg)
        press = KeyPress(
            id=f"dtmf-{leg}-{at_ms}",
            leg=leg,
            key=key,
            at_ms=at_ms,
            age_ms=int(SCRIPT_WAIT_S * 1000),
            seen_by=SeenBy.DTMF,
            by=known.interface if known else "",
        )
        pressed_at = self._exchange.wall()
        call.put(Asked(press=press, pressed_at=pressed_at, refused=refused))

    def _has_twin(self, seen: deque[tuple[LegId, Key, int]], leg: LegId, key: Key, at_ms: int) -> bool:
        return any(one == leg and which is key and abs(at - at_ms) <= TWIN_MS for one, which, at in seen)

    async def close(self) -> None:
        """Digits that wait for their script are given up."""
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)


def pressed_key(digits: str, keys: KeyMap) -> Key | None:
    """The key whose digits end this run of digits."""
    return next((key for key in Key if keys.of(key) and digits.endswith(keys.of(key))), None)


async def read_spool(folder: Path, presses: Presses) -> int:
    """Take what the key script left in the spool folder while the bus was away; return how many files.

    A file that is no key message is set aside as ``.bad`` and not looked at again.
    """
    taken = 0
    for file in await asyncio.to_thread(lambda: sorted(folder.glob("*.json"))):
        fields = await asyncio.to_thread(_spooled, file)
        if fields is None:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(file.rename, file.with_suffix(".bad"))
            continue
        if await presses.take(fields, seen_by=SeenBy.SPOOL):
            with contextlib.suppress(OSError):
                await asyncio.to_thread(file.unlink)
            taken += 1
    return taken


def _spooled(file: Path) -> dict[str, str] | None:
    try:
        if file.stat().st_size > LONGEST_SPOOLED:
            return None
        read = json.loads(file.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError):
        return None
    fields = {str(key): str(value) for key, value in read.items()} if isinstance(read, dict) else {}
    return fields if read_key(fields) is not None else None
