"""What is on the bus: one table. Name, what it carries, who writes, who reads, how long it stays.

Commands and events never share a topic: ``orders`` is the only topic whose messages make something happen to a
call on a person's behalf, and each of its messages expires.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One stream.

    name: the key in Redis.
    carries: in a few words.
    keep: about this many messages stay (XADD MAXLEN ~).
    group: name of the consumer group that takes each message once, "" where every reader sees all.
    """

    name: str
    carries: str
    keep: int
    group: str = ""


KEYS = Topic(name="callguard:keys", carries="presses of agents' keys, from the key script", keep=10_000, group="daemon")
INCOMING = Topic(
    name="callguard:incoming", carries="calls coming in, asking for notice and route", keep=1_000, group="daemon"
)
ORDERS = Topic(name="callguard:orders", carries="supervisors' orders from the board", keep=1_000, group="daemon")
BOARD = Topic(name="callguard:board", carries="what is going on, for the live board and the demo", keep=5_000)

TOPICS = (KEYS, INCOMING, ORDERS, BOARD)

ANSWER_PREFIX = "callguard:answer:"
"""List key of one script's answer: this prefix and the message's ``id`` field."""

ANSWER_TTL_S = 10
"""An answer nobody fetched goes away by itself; the scripts give up after 300 ms."""

ALIVE_KEY = "callguard:alive"
"""Set with a short life while a daemon is up: the scripts and the board see at once that it is not."""
