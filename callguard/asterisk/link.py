"""The manager connection: panoramisk speaks the protocol, this file owns the connection.

panoramisk 1.4 parses messages and collects the replies of an action; connecting, logging in, noticing a dead peer,
giving up, keeping order and deciding what is never sent twice is done here. Its own Manager and its queue of
unsent actions are not used: an action whose fate is unknown is told as failed and never repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum

from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.message import Message

from callguard.asterisk import clean
from callguard.model.errors import AmiFault

log = logging.getLogger(__name__)

MESSAGE_BYTES = 256 * 1024
"""The longest message that is waited for; beyond it the stream is broken. Real ones stay under 10 KiB."""

EVENTS_WAITING = 50_000
"""Events not yet taken in. Beyond it we are hopelessly behind: the link starts anew and resynchronises."""

UNSENT_BYTES = 1024 * 1024
"""Actions that the peer does not read. Beyond it the peer is dead."""

REFUSALS = 3
"""So many wrong secrets, then no more: fail2ban watches Asterisk's security log."""

LATE_REFUSALS = 20
"""The same for an account that was let in before: after a half-open link Asterisk may still count the dead session,
and ``allowmultiplelogin = no`` refuses a second one until that has ended."""

BACKOFF_S = (0.5, 30.0)
"""First wait before connecting again, and the longest."""

_END = re.compile(rb"\r?\n\r?\n")
_FLAT_COLON = re.compile(r"^([A-Za-z][A-Za-z0-9-]*):(?=\S)", re.MULTILINE)


class Expects(StrEnum):
    """What answers an action: one message, a list that ends by itself, or a reply and its OriginateResponse."""

    ONE = "one"
    LIST = "list"
    ORIGINATE = "originate"


class Asked(Action):  # type: ignore[misc]
    """An action that knows what answers it, so that no reply is left waiting and none ends too soon."""

    def __init__(self, headers: Mapping[str, str | list[str]], *, expects: Expects) -> None:
        super().__init__(headers)
        self.expects = expects

    def add_message(self, message: Message) -> bool:
        """Take one reply in; True once the answer is whole."""
        self.responses.append(message)
        if not self._whole(message):
            return False
        if not self.future.done():
            self.future.set_result(list(self.responses))
        return True

    def _whole(self, message: Message) -> bool:
        first = self.responses[0]
        refused = "response" in message and message.response not in Message.success_responses
        match self.expects:
            case Expects.ONE:
                return True
            case Expects.LIST:
                ended = message.eventlist.lower() in ("complete", "cancelled") or message.event.endswith("Complete")
                return refused or ended
            case Expects.ORIGINATE:
                return refused or message.event == "OriginateResponse" or first.event == "OriginateResponse"


class AmiStream(AMIProtocol):  # type: ignore[misc]
    """panoramisk's protocol with its own framing: bytes are cut into whole messages before they become text."""

    def __init__(self, *, on_event: Callable[[Message], None], on_lost: Callable[[Exception | None], None]) -> None:
        self._held = bytearray()
        self._looked = 0
        self._on_event = on_event
        self._on_lost = on_lost
        self.received_at = time.monotonic()
        self.closed = False
        self.responses: dict[str, Asked] = {}
        self.version: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def ask(self, action: Asked) -> asyncio.Future[list[Message]]:
        """Send one action. Raises AmiFault where the peer no longer reads."""
        if self.closed or self.transport.is_closing():
            raise AmiFault("the manager connection is closed", code="ami-lost")
        if self.transport.get_write_buffer_size() > UNSENT_BYTES:
            self.break_off(AmiFault("the manager does not read what we send", code="ami-lost"))
            raise AmiFault("the manager does not read what we send", code="ami-lost")
        self.responses[action.id] = action
        self.transport.write(str(action).encode())
        future: asyncio.Future[list[Message]] = action.future
        return future

    def forget(self, action: Asked) -> None:
        """Nobody waits for this action's answer any more; a late one is dropped."""
        self.responses.pop(action.id, None)

    def data_received(self, data: bytes) -> None:
        """Cut what came into messages and take each in. Nothing escapes: asyncio would close the connection."""
        self.received_at = time.monotonic()
        self._held += data
        if self.version is None and not self._banner():
            return
        start = 0
        for end in _END.finditer(self._held, max(0, self._looked - 3)):
            if end.start() > start:
                self._take(bytes(self._held[start : end.start()]))
            start = end.end()
        del self._held[:start]
        self._looked = len(self._held)
        if self._looked > MESSAGE_BYTES:
            self.break_off(AmiFault("a manager message without an end", code="ami-garbled"))

    def _banner(self) -> bool:
        line, found, rest = self._held.partition(b"\n")
        if not found:
            if len(self._held) > 1024:
                self.break_off(AmiFault("this is no manager port", code="ami-garbled"))
            return False
        if not line.startswith(b"Asterisk Call Manager/"):
            self.break_off(AmiFault("this is no manager port", code="ami-garbled"))
            return False
        self.version = clean.from_outside(bytes(line.strip())).partition("/")[2]
        self._held = bytearray(rest)
        return True

    def _take(self, raw: bytes) -> None:
        try:
            lines = clean.from_outside(raw).strip("\r\n").replace("\r\n", "\n").split("\n")
            message = Message.from_line(_FLAT_COLON.sub(r"\1: ", "\r\n".join(lines) if len(lines) > 1 else lines[0]))
            if message is not None:
                self.handle_message(message)
        except Exception:
            log.exception("manager message not understood")

    def handle_message(self, message: Message) -> None:
        """A reply to the action that asked, an event to whoever listens.

        Asterisk copies the ActionID of a UserEvent action into the event, which answers nobody.
        """
        told = message.event == "UserEvent"
        action = self.responses.get(message.id) if message.id and not told else None
        if action is not None:
            if action.add_message(message):
                self.forget(action)
        elif "event" in message and (told or not message.id):
            self._on_event(message)

    def break_off(self, why: Exception) -> None:
        """End at once, without waiting for the peer."""
        if not self.closed:
            self._fail(why)
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone: whoever waits for an answer is told so."""
        self._fail(exc)

    def close(self) -> None:
        """End."""
        self._fail(None)
        self.transport.close()

    def _fail(self, exc: Exception | None) -> None:
        if self.closed:
            return
        self.closed = True
        pending, self.responses = self.responses, {}
        for action in pending.values():
            if not action.future.done():
                action.future.set_exception(AmiFault("the manager connection was lost", code="ami-lost"))
                action.future.exception()
        self._on_lost(exc)


class LinkState(StrEnum):
    """Where the link stands. REFUSED is final until somebody starts it again."""

    DOWN = "down"
    CONNECTING = "connecting"
    SYNCING = "syncing"
    UP = "up"
    REFUSED = "refused"
    STOPPED = "stopped"


class AmiLink:
    """One manager account, kept connected.

    on_event: every event, strictly in order, only after on_up returned for this connection.
    on_up: logged in; fetch the state of the world here. An error in it starts the connection anew.
    on_down: usable no more, with a reason code.
    tls: None for plain TCP (loopback).
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        username: str,
        secret: str,
        on_event: Callable[[Message], None],
        on_up: Callable[[], Awaitable[None]],
        on_down: Callable[[str], None],
        tls: ssl.SSLContext | None = None,
        ping_every_s: float = 10.0,
        timeout_s: float = 5.0,
        backoff_s: tuple[float, float] = BACKOFF_S,
    ) -> None:
        self._address = (host, port)
        self._account = (clean.ami_value(username), clean.ami_value(secret))
        self._on_event, self._on_up, self._on_down = on_event, on_up, on_down
        self._tls = tls
        self._ping_every_s, self._timeout_s, self._backoff_s = ping_every_s, timeout_s, backoff_s
        self._stream: AmiStream | None = None
        self._lost: asyncio.Event = asyncio.Event()
        self._waiting: deque[Message] = deque()
        self._news: asyncio.Event = asyncio.Event()
        self._changed: asyncio.Event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._was_in = False
        self.state = LinkState.DOWN
        self.reason = "ami-lost"
        self.refusals = 0
        self.connects = 0
        self.callback_errors = 0
        self.protocol_version = ""

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        if self._task is None or self._task.done():
            self.refusals = 0
            self._task = asyncio.create_task(self._keep(), name="ami-link")

    async def stop(self) -> None:
        """Log off and end."""
        if self._stream is not None and not self._stream.closed:
            with contextlib.suppress(AmiFault):
                await self.ask({"Action": "Logoff"}, timeout_s=1.0)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._set(LinkState.STOPPED, "stopped")

    async def wait_up(self, timeout_s: float) -> None:
        """Until usable. Raises AmiFault with the code that says why not."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.state is not LinkState.UP:
                    if self.state in (LinkState.REFUSED, LinkState.STOPPED):
                        break
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            pass
        if self.state is not LinkState.UP:
            raise self._fault()

    def _fault(self) -> AmiFault:
        if self.state is LinkState.REFUSED:
            fault = AmiFault(
                "Asterisk refused the manager account; not trying again",
                code="ami-refused",
                hint="Compare user name and secret with manager.conf, and its permit lines with our address.",
            )
            fault.retryable = False
            return fault
        return AmiFault(
            "no manager connection to Asterisk",
            code=self.reason or "ami-lost",
            hint="Is Asterisk running, is manager.conf enabled, are host and port right?",
        )

    @property
    def silent_ms(self) -> int | None:
        """How long nothing came from the manager; None without a connection."""
        stream = self._stream
        return None if stream is None else int((time.monotonic() - stream.received_at) * 1000)

    async def ask(
        self,
        headers: Mapping[str, str | list[str]],
        *,
        expects: Expects = Expects.ONE,
        timeout_s: float | None = None,
    ) -> list[Message]:
        """Send an action and return its answer, every message of it.

        Raises Refused for an unsafe header, AmiFault ``ami-lost`` or ``ami-timeout``. What the answer says is the
        caller's to read: an Error reply is returned, not raised.
        """
        stream = self._stream
        safe: dict[str, str | list[str]] = {}
        for name, value in headers.items():
            values = [clean.ami_value(v) for v in value] if isinstance(value, list) else clean.ami_value(value)
            safe[clean.ami_name(name)] = values
        if stream is None or self.state not in (LinkState.SYNCING, LinkState.UP, LinkState.CONNECTING):
            raise AmiFault("no manager connection", code="ami-lost")
        safe.setdefault("Async", "true" if expects is Expects.ORIGINATE else "false")
        action = Asked(safe, expects=expects)
        future = stream.ask(action)
        try:
            async with asyncio.timeout(self._timeout_s if timeout_s is None else timeout_s):
                return await future
        except TimeoutError as error:
            raise AmiFault("the manager did not answer", code="ami-timeout") from error
        finally:
            stream.forget(action)

    async def _keep(self) -> None:
        first, longest = self._backoff_s
        wait_s = first
        while True:
            self._set(LinkState.CONNECTING, self.reason)
            began = time.monotonic()
            reason = "ami-lost"
            try:
                await self._live()
            except AmiFault as fault:
                reason = fault.code
            except (OSError, TimeoutError):
                reason = "ami-unreachable"
            except Exception:
                log.exception("manager link failed")
            finally:
                self._drop()
            was_up = self.state is LinkState.UP
            if reason == "ami-refused":
                self.refusals += 1
                if self.refusals >= (LATE_REFUSALS if self._was_in else REFUSALS):
                    self._set(LinkState.REFUSED, reason)
                    log.error("manager account refused, not trying again")
                    return
            self._set(LinkState.DOWN, reason)
            if was_up:
                self._safely(self._on_down, reason)
            wait_s = first if was_up and time.monotonic() - began > longest else min(longest, wait_s * 2)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))

    async def _live(self) -> None:
        """One connection from beginning to end; always leaves by an exception."""
        loop = asyncio.get_running_loop()
        self._lost = asyncio.Event()
        self._waiting.clear()
        lost = self._lost
        async with asyncio.timeout(self._timeout_s):
            _, stream = await loop.create_connection(
                lambda: AmiStream(on_event=self._hear, on_lost=lambda exc: lost.set()), *self._address, ssl=self._tls
            )
        self._stream = stream
        self.connects += 1
        await self._login()
        self.refusals = 0
        self.protocol_version = stream.version or ""
        self._set(LinkState.SYNCING, "ami-syncing")
        await self._on_up()
        self._was_in = True
        self._set(LinkState.UP, "")
        deliver = asyncio.create_task(self._deliver(), name="ami-events")
        try:
            await self._watch(stream, lost)
        finally:
            deliver.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await deliver

    async def _login(self) -> None:
        username, secret = self._account
        answer = await self.ask(
            {"Action": "Login", "Username": username, "Secret": secret, "Events": "on"}, timeout_s=self._timeout_s
        )
        if answer[0].response != "Success":
            raise AmiFault("the manager refused the login", code="ami-refused")

    def _hear(self, message: Message) -> None:
        if len(self._waiting) >= EVENTS_WAITING:
            if self._stream is not None:
                self._stream.break_off(AmiFault("events come faster than they are taken in", code="ami-flooded"))
            return
        self._waiting.append(message)
        self._news.set()

    async def _deliver(self) -> None:
        """Events to the listener, in order, a slice at a time so that others get their turn."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                for _ in range(min(100, len(self._waiting))):
                    self._safely(self._on_event, self._waiting.popleft())
                await asyncio.sleep(0)

    async def _watch(self, stream: AmiStream, lost: asyncio.Event) -> None:
        """Ask "are you there" now and then; a peer that says nothing at all is gone, whatever TCP thinks."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._ping_every_s):
                    await lost.wait()
            if lost.is_set():
                raise AmiFault("the manager connection was lost", code="ami-lost")
            asked = time.monotonic()
            try:
                await self.ask({"Action": "Ping"})
            except AmiFault:
                if stream.received_at < asked:
                    raise AmiFault("the manager fell silent", code="ami-silent") from None

    def _safely(self, callback: Callable[..., None], *args: object) -> None:
        try:
            callback(*args)
        except Exception:
            self.callback_errors += 1
            log.exception("a listener of the manager link failed")

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.break_off(AmiFault("closed", code="ami-lost"))

    def _set(self, state: LinkState, reason: str) -> None:
        self.state, self.reason = state, reason
        self._changed.set()
