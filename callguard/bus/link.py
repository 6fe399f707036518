"""The connection to Redis or Valkey: typed errors, bounded waits, reading that survives a restart of the server.

Only commands of Redis 7.0 are used.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import redis.asyncio as redis_async
import redis.exceptions as redis_errors

from callguard.bus.topics import ALIVE_KEY, ANSWER_PREFIX, ANSWER_TTL_S, Topic
from callguard.model.errors import BusFault

Fields = dict[str, str]

_AWAY = (redis_errors.ConnectionError, redis_errors.TimeoutError, redis_errors.BusyLoadingError, OSError)
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 2.0


class Bus:
    """One process's connection. ``url``: ``unix:///path``, ``redis://``, ``rediss://`` or ``redis+unix://``."""

    def __init__(self, url: str, *, timeout_s: float = 2.0) -> None:
        self.url = url.replace("redis+unix://", "unix://", 1)
        self.client: redis_async.Redis = redis_async.Redis.from_url(
            self.url, decode_responses=False, socket_timeout=timeout_s + 5.0, socket_connect_timeout=timeout_s
        )
        self._timeout_s = timeout_s

    async def close(self) -> None:
        """Close the connection pool."""
        await self.client.aclose()

    async def ping(self) -> None:
        """Raise BusFault unless the server answers within the timeout."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self.client.ping()
        except (*_AWAY, redis_errors.RedisError) as error:
            raise _fault(error) from error

    async def add(self, topic: Topic, fields: Mapping[str, str | int | float]) -> str:
        """Append one message; return its stream id. Raises BusFault."""
        try:
            async with asyncio.timeout(self._timeout_s):
                got = await self.client.xadd(topic.name, dict(fields), maxlen=topic.keep, approximate=True)  # type: ignore[arg-type]
        except (*_AWAY, redis_errors.RedisError) as error:
            raise _fault(error) from error
        return _text(got)

    async def publish(self, topic: Topic, message: Mapping[str, Any]) -> str:
        """Append one JSON message under the field ``json``."""
        return await self.add(topic, {"json": json.dumps(message, ensure_ascii=False, separators=(",", ":"))})

    async def answer(self, asked_id: str, answer: Mapping[str, Any]) -> None:
        """Give a waiting script its answer; it disappears by itself when nobody fetches it."""
        key = ANSWER_PREFIX + asked_id
        try:
            async with asyncio.timeout(self._timeout_s), self.client.pipeline(transaction=True) as pipe:
                pipe.lpush(key, json.dumps(answer))
                pipe.expire(key, ANSWER_TTL_S)
                await pipe.execute()
        except (*_AWAY, redis_errors.RedisError) as error:
            raise _fault(error) from error

    async def say_alive(self, *, life_s: int) -> None:
        """Renew the sign of life."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self.client.set(ALIVE_KEY, b"1", ex=life_s)
        except (*_AWAY, redis_errors.RedisError) as error:
            raise _fault(error) from error

    async def take(
        self, topic: Topic, *, consumer: str, on_health: Callable[[bool], None] | None = None
    ) -> AsyncIterator[tuple[str, Fields]]:
        """Messages of a group topic, each once: first those an earlier life took and never acknowledged.

        Goes on through restarts of the server. The reader acknowledges with ``done`` after the message is stored.
        """
        wait_s = _FIRST_WAIT_S
        cursor = "0"
        while True:
            try:
                if cursor == "0":
                    await self._make_group(topic)
                got = await self.client.xreadgroup(topic.group, consumer, {topic.name: cursor}, count=64, block=1000)
            except _AWAY:
                wait_s = await _pause(wait_s, on_health)
                cursor = "0"
                continue
            except redis_errors.ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise _fault(error) from error
                cursor = "0"
                continue
            wait_s = _FIRST_WAIT_S
            if on_health is not None:
                on_health(True)
            messages = _messages(got)
            if cursor != ">" and not messages:
                cursor = ">"
            for message_id, fields in messages:
                if cursor != ">":
                    cursor = message_id
                yield message_id, fields

    async def done(self, topic: Topic, message_id: str) -> None:
        """Acknowledge a taken message. A lost acknowledgement only means it is seen again."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self.client.xack(topic.name, topic.group, message_id)
        except (*_AWAY, redis_errors.RedisError) as error:
            raise _fault(error) from error

    async def tail(
        self, topic: Topic, *, after: str = "$", on_health: Callable[[bool], None] | None = None
    ) -> AsyncIterator[tuple[str, Fields]]:
        """Every message of a topic after the given id ("$": from now, "0": from the oldest kept)."""
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                if after == "$":
                    after = await self._last_id(topic)
                got = await self.client.xread({topic.name: after}, count=256, block=1000)
            except (*_AWAY, redis_errors.ResponseError):
                wait_s = await _pause(wait_s, on_health)
                continue
            wait_s = _FIRST_WAIT_S
            if on_health is not None:
                on_health(True)
            for message_id, fields in _messages(got):
                after = message_id
                yield message_id, fields

    async def _make_group(self, topic: Topic) -> None:
        try:
            await self.client.xgroup_create(topic.name, topic.group, id="0", mkstream=True)
        except redis_errors.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise _fault(error) from error

    async def _last_id(self, topic: Topic) -> str:
        newest = await self.client.xrevrange(topic.name, count=1)
        return _text(newest[0][0]) if newest else "0-0"


def _messages(got: Any) -> list[tuple[str, Fields]]:
    """What XREAD or XREADGROUP brought (RESP2 gives a list, RESP3 a mapping), as text."""
    if not got:
        return []
    streams = list(got.values()) if isinstance(got, dict) else [entries for _, entries in got]
    messages: list[tuple[str, Fields]] = []
    for entries in streams:
        flat = entries[0] if entries and isinstance(entries[0], list) else entries
        messages += [(_text(i), {_text(k): _text(v) for k, v in (f or {}).items()}) for i, f in flat]
    return messages


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _fault(error: BaseException) -> BusFault:
    away = isinstance(error, _AWAY)
    return BusFault(
        "Redis or Valkey does not answer" if away else "Redis or Valkey refused a command",
        code="bus-away" if away else "bus-refused",
        hint="check the [bus] section and that the server runs",
    )


async def _pause(wait_s: float, on_health: Callable[[bool], None] | None) -> float:
    if on_health is not None:
        on_health(False)
    await asyncio.sleep(wait_s)
    return min(wait_s * 2, _LONGEST_WAIT_S)
