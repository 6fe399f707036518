"""A manager port of our own, and a link that is watched. ``contract/test_manager.py`` holds it beside Asterisk's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from callguard.asterisk.link import AmiLink

Answer = Callable[[dict[str, str], asyncio.StreamWriter], None]


class FakeManager:
    """A manager port that answers as told. ``seen``: every action, in order."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.answers: dict[str, Answer] = {}
        self.secret = "right"
        self.deaf = False
        self.server: asyncio.Server | None = None
        self.port = 0

    async def start(self, port: int = 0) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self.server is not None
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        writer.write(b"Asterisk Call Manager/9.0.0\r\n")
        try:
            while True:
                raw = await reader.readuntil(b"\r\n\r\n")
                action = dict(line.split(": ", 1) for line in raw.decode().strip().split("\r\n"))
                self.seen.append(action)
                if not self.deaf:
                    self._answer(action, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()

    def _answer(self, action: dict[str, str], writer: asyncio.StreamWriter) -> None:
        name = action["Action"]
        if name in self.answers:
            self.answers[name](action, writer)
        elif name == "Login" and action["Secret"] != self.secret:
            reply(action, writer, "Error", "Authentication failed")
        elif name == "UserEvent":
            reply(action, writer, "Success", "Event Sent")
            own = ("Action", "Async")
            rest = "".join(f"{key}: {value}\r\n" for key, value in action.items() if key not in own)
            writer.write(f"Event: UserEvent\r\n{rest}\r\n".encode())
        elif name == "CoreShowChannels":
            head = f"Response: Success\r\nActionID: {action['ActionID']}\r\nEventList: start\r\n\r\n"
            tail = f"Event: CoreShowChannelsComplete\r\nActionID: {action['ActionID']}\r\nEventList: Complete\r\n"
            writer.write(f"{head}{tail}ListItems: 0\r\n\r\n".encode())
        elif action.get("Channel"):
            reply(action, writer, "Error", "No such channel")
        else:
            reply(action, writer, "Success", "fine")

    def event(self, text: str | bytes) -> None:
        raw = text if isinstance(text, bytes) else text.encode()
        self.writers[-1].write(raw)


def reply(action: dict[str, str], writer: asyncio.StreamWriter, response: str, message: str) -> None:
    head = f"Response: {response}\r\nActionID: {action['ActionID']}\r\nMessage: {message}\r\n\r\n"
    writer.write(head.encode())


class Watcher:
    """A link and what it told."""

    def __init__(self, port: int, **options: object) -> None:
        self.events: list[dict[str, object]] = []
        self.came = asyncio.Event()
        self.downs: list[str] = []
        self.down = asyncio.Event()
        self.ups = 0
        defaults: dict[str, object] = {
            "host": "127.0.0.1",
            "port": port,
            "username": "u",
            "secret": "right",
            "ping_every_s": 0.1,
            "timeout_s": 0.3,
            "backoff_s": (0.02, 0.1),
        }
        self.link = AmiLink(
            on_event=self._event,
            on_up=self._up,
            on_down=self._down,
            **(defaults | options),  # type: ignore[arg-type]
        )

    def _event(self, message: object) -> None:
        self.events.append(dict(message.items()))  # type: ignore[attr-defined]
        self.came.set()
        if self.events[-1]["Event"] == "Boom":
            raise RuntimeError("a listener's fault")

    async def _up(self) -> None:
        self.ups += 1

    def _down(self, reason: str) -> None:
        self.downs.append(reason)
        self.down.set()

    async def events_are(self, count: int) -> list[dict[str, object]]:
        async with asyncio.timeout(5):
            while len(self.events) < count:
                self.came.clear()
                await self.came.wait()
        return self.events
