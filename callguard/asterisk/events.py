"""From manager messages to the tracker's own nouns, decoded once. Unknown events decode to None."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from callguard.asterisk.clean import shown_text, unescaped
from callguard.calls import events as e

Headers = Mapping[str, object]
"""A panoramisk Message, or any mapping of header to text; names are looked up as Asterisk writes them."""

_CAUSES = {
    "16": "normal",
    "17": "busy",
    "18": "no-answer",
    "19": "no-answer",
    "21": "rejected",
    "26": "answered-elsewhere",
    "31": "normal",
    "34": "congestion",
    "127": "interworking",
}
"""Q.850 causes worth a word (causes.h); any other number is told as ``cause-<n>``, none or 0 as "unknown"."""


def text(message: Headers, key: str) -> str:
    """A header's value, "" where absent or ``<unknown>``; the first where it was repeated."""
    value = message.get(key)
    if isinstance(value, list):
        value = value[0] if value else ""
    found = value if isinstance(value, str) else ""
    return "" if found == "<unknown>" else found


def number(message: Headers, key: str) -> int:
    """A header that counts something, 0 where absent or no number."""
    found = text(message, key)
    return int(found) if found.isascii() and found.isdigit() else 0


def seen(message: Headers, *, prefix: str = "") -> e.Seen:
    """The channel snapshot under this prefix (``Dest``, ``Transferee`` and so on)."""
    return e.Seen(
        id=text(message, f"{prefix}Uniqueid") or text(message, f"{prefix}UniqueID"),
        linked=text(message, f"{prefix}Linkedid"),
        channel=text(message, f"{prefix}Channel"),
        up=text(message, f"{prefix}ChannelStateDesc") == "Up" or text(message, f"{prefix}ChannelState") == "6",
        number=shown_text(text(message, f"{prefix}CallerIDNum")),
        name=shown_text(unescaped(text(message, f"{prefix}CallerIDName"))),
    )


def decode(message: Headers, at_ms: int) -> e.PbxEvent | None:
    """One manager event, or None for one that says nothing about calls."""
    make = _DECODE.get(text(message, "Event").lower())
    return make(message, at_ms) if make is not None else None


def cause(message: Headers) -> str:
    """Why a channel ended."""
    code = text(message, "Cause")
    return _CAUSES.get(code, f"cause-{code}" if code.isascii() and code.isdigit() and code != "0" else "unknown")


def _channel_seen(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.ChannelSeen(at_ms=at_ms, seen=seen(m))


def _renamed(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.Renamed(at_ms=at_ms, seen=seen(m), old=text(m, "Channel"), new=text(m, "Newname"))


def _by(m: Headers) -> e.Seen | None:
    by = seen(m)
    return by if by.id else None


def _dial_began(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.DialBegan(at_ms=at_ms, by=_by(m), to=seen(m, prefix="Dest"))


def _dial_ended(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.DialEnded(
        at_ms=at_ms, by=_by(m), to=seen(m, prefix="Dest"), status=text(m, "DialStatus"), forward=text(m, "Forward")
    )


def _bridge_entered(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.BridgeEntered(at_ms=at_ms, bridge=text(m, "BridgeUniqueid"), seen=seen(m), swap=text(m, "SwapUniqueid"))


def _bridge_left(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.BridgeLeft(at_ms=at_ms, bridge=text(m, "BridgeUniqueid"), seen=seen(m))


def _bridges_merged(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.BridgesMerged(at_ms=at_ms, into=text(m, "ToBridgeUniqueid"), gone=text(m, "FromBridgeUniqueid"))


def _bridge_gone(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.BridgeGone(at_ms=at_ms, bridge=text(m, "BridgeUniqueid"))


def _blind(m: Headers, at_ms: int) -> e.PbxEvent:
    done = text(m, "Result") in ("", "Success")
    return e.BlindTransfer(at_ms=at_ms, by=seen(m, prefix="Transferer"), done=done)


def _attended(m: Headers, at_ms: int) -> e.PbxEvent:
    dest = "fail" if text(m, "Result") not in ("", "Success") else text(m, "DestType").lower()
    return e.AttendedTransfer(
        at_ms=at_ms, first=seen(m, prefix="OrigTransferer"), second=seen(m, prefix="SecondTransferer"), dest=dest
    )


def _picked_up(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.PickedUp(at_ms=at_ms, by=seen(m), target=seen(m, prefix="Target"))


def _hold(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.Held(at_ms=at_ms, seen=seen(m), held=True)


def _unhold(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.Held(at_ms=at_ms, seen=seen(m), held=False)


def _hangup_asked(m: Headers, at_ms: int) -> e.PbxEvent:
    """A request without a cause is a plain hang-up."""
    why = cause(m)
    return e.HangupAsked(at_ms=at_ms, seen=seen(m), cause="normal" if why == "unknown" else why)


def _hung_up(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.HungUp(at_ms=at_ms, seen=seen(m), cause=cause(m))


def _queue_joined(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.QueueJoined(at_ms=at_ms, queue=text(m, "Queue"), seen=seen(m))


def _queue_left(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.QueueLeft(at_ms=at_ms, queue=text(m, "Queue"), seen=seen(m))


def _agent(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.AgentOffered(
        at_ms=at_ms,
        queue=text(m, "Queue"),
        caller=seen(m),
        to=seen(m, prefix="Dest"),
        interface=text(m, "Interface"),
        taken=text(m, "Event") == "AgentConnect",
    )


def _paused(m: Headers, at_ms: int) -> e.PbxEvent:
    return e.MemberPaused(
        at_ms=at_ms,
        queue=text(m, "Queue"),
        interface=text(m, "Interface") or text(m, "StateInterface"),
        paused=text(m, "Paused") == "1",
        reason=text(m, "PausedReason") or None,
    )


_SNAPSHOT = frozenset(
    {
        *("event", "privilege", "userevent", "content", "channel", "channelstate", "channelstatedesc", "uniqueid"),
        *("calleridnum", "calleridname", "connectedlinenum", "connectedlinename", "language", "accountcode"),
        *("context", "exten", "priority", "linkedid"),
    }
)
"""Headers that every user event carries by itself."""


def _user(m: Headers, at_ms: int) -> e.PbxEvent | None:
    name = text(m, "UserEvent")
    if not name.lower().startswith("callguard"):
        return None
    who = seen(m)
    values = tuple((k, shown_text(text(m, k))) for k in m if k.lower() not in _SNAPSHOT)
    return e.UserNoted(at_ms=at_ms, name=name, seen=who if who.id else None, values=values)


def _digit(m: Headers, at_ms: int) -> e.PbxEvent | None:
    if text(m, "Direction") != "Received":
        return None
    return e.DigitPressed(at_ms=at_ms, seen=seen(m), digit=text(m, "Digit"))


def _spied(m: Headers, at_ms: int) -> e.PbxEvent | None:
    spyer, spyee = seen(m, prefix="Spyer"), seen(m, prefix="Spyee")
    began = text(m, "Event").lower() == "chanspystart"
    return e.Spied(at_ms=at_ms, spyer=spyer, spyee=spyee if spyee.id else None, began=began) if spyer.id else None


_DECODE: dict[str, Callable[[Headers, int], e.PbxEvent | None]] = {
    "newchannel": _channel_seen,
    "newstate": _channel_seen,
    "newcallerid": _channel_seen,
    "rename": _renamed,
    "dialbegin": _dial_began,
    "dialend": _dial_ended,
    "bridgeenter": _bridge_entered,
    "bridgeleave": _bridge_left,
    "bridgemerge": _bridges_merged,
    "bridgedestroy": _bridge_gone,
    "blindtransfer": _blind,
    "attendedtransfer": _attended,
    "pickup": _picked_up,
    "hold": _hold,
    "unhold": _unhold,
    "hanguprequest": _hangup_asked,
    "softhanguprequest": _hangup_asked,
    "hangup": _hung_up,
    "queuecallerjoin": _queue_joined,
    "queuecallerleave": _queue_left,
    "queuecallerabandon": _queue_left,
    "agentcalled": _agent,
    "agentconnect": _agent,
    "queuememberpause": _paused,
    "userevent": _user,
    "dtmfend": _digit,
    "chanspystart": _spied,
    "chanspystop": _spied,
}


def found(message: Headers, *, marked: bool = False) -> e.ChannelFound:
    """One CoreShowChannel line of a snapshot."""
    return e.ChannelFound(
        seen=seen(message),
        bridge=text(message, "BridgeId"),
        application=text(message, "Application"),
        data=text(message, "ApplicationData"),
        age_ms=_duration_ms(text(message, "Duration")),
        marked=marked,
    )


def _duration_ms(clock: str) -> int:
    parts = clock.split(":")
    if not all(p.isdigit() for p in parts):
        return 0
    seconds = 0
    for part in parts:
        seconds = seconds * 60 + int(part)
    return seconds * 1000
