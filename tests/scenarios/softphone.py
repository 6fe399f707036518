"""A caller's telephone that can press hold: as little SIP as that takes. It is silent and does not listen."""

from __future__ import annotations

import asyncio
import contextlib
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

SDP = (
    "v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {rtp} RTP/AVP 0 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na={way}\r\n"
)


@dataclass(slots=True, kw_only=True)
class Softphone(asyncio.DatagramProtocol):
    """One call from this telephone to an extension. server: the PBX's SIP port."""

    server: int
    extension: str
    number: str = "0399998888"
    port: int = 0
    to_tag: str = ""
    sequence: int = 0
    call: str = field(default_factory=lambda: uuid.uuid4().hex)
    tag: str = field(default_factory=lambda: uuid.uuid4().hex[:10])
    transport: asyncio.DatagramTransport | None = None
    answers: asyncio.Queue[tuple[int, str]] = field(default_factory=asyncio.Queue)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: object) -> None:
        text = data.decode("utf-8", "replace")
        first = text.split("\r\n", 1)[0]
        if first.startswith("SIP/2.0"):
            status, method = int(first.split()[1]), _header(text, "CSeq").split()[-1]
            if status >= 200:
                self.answers.put_nowait((status, method))
                tag = re.search(r"tag=([^;>\s]+)", _header(text, "To"))
                self.to_tag = self.to_tag or (tag.group(1) if tag else "")
                if method == "INVITE":
                    self._send("ACK", sequence=int(_header(text, "CSeq").split()[0]))
        elif not first.startswith("ACK"):
            self._reply(text, with_sdp=first.startswith("INVITE"))

    def _reply(self, text: str, *, with_sdp: bool) -> None:
        kept = [line for line in text.split("\r\n") if line.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
        self._write("SIP/2.0 200 OK", [*kept, self._contact()], self._sdp("sendrecv") if with_sdp else "")

    def _contact(self) -> str:
        return f"Contact: <sip:{self.number}@127.0.0.1:{self.port}>"

    def _sdp(self, way: str) -> str:
        return SDP.format(version=self.sequence + 1, rtp=self.port + 1 & 0xFFFE, way=way)

    def _send(self, method: str, *, way: str = "", sequence: int = 0) -> None:
        if not sequence:
            self.sequence += 1
        goal = f"sip:{self.extension}@127.0.0.1:{self.server}"
        heads = [
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch=z9hG4bK{uuid.uuid4().hex[:16]}",
            "Max-Forwards: 70",
            f"From: <sip:{self.number}@127.0.0.1>;tag={self.tag}",
            f"To: <{goal}>" + (f";tag={self.to_tag}" if self.to_tag else ""),
            f"Call-ID: {self.call}",
            f"CSeq: {sequence or self.sequence} {method}",
            self._contact(),
        ]
        self._write(f"{method} {goal} SIP/2.0", heads, self._sdp(way) if way else "")

    def _write(self, first: str, heads: list[str], body: str) -> None:
        kind = ["Content-Type: application/sdp"] if body else []
        text = "\r\n".join([first, *heads, *kind, f"Content-Length: {len(body)}", "", body])
        assert self.transport is not None
        self.transport.sendto(text.encode(), ("127.0.0.1", self.server))

    async def _ask(self, method: str, *, way: str = "") -> None:
        self._send(method, way=way)
        async with asyncio.timeout(20):
            status, _ = await self.answers.get()
        assert status == 200, status

    async def dial(self) -> None:
        """Ring; returns once the PBX has answered."""
        await self._ask("INVITE", way="sendrecv")

    async def hold(self, on: bool = True) -> None:
        """Put the other side on hold, or take it back."""
        await self._ask("INVITE", way="sendonly" if on else "sendrecv")

    async def hang_up(self) -> None:
        """End the call."""
        await self._ask("BYE")


def _header(text: str, name: str) -> str:
    return next((line.partition(":")[2].strip() for line in text.split("\r\n") if line.startswith(f"{name}:")), "")


@contextlib.asynccontextmanager
async def softphone(server: int, extension: str) -> AsyncIterator[Softphone]:
    """A telephone while it is needed."""
    loop = asyncio.get_running_loop()
    transport, phone = await loop.create_datagram_endpoint(
        lambda: Softphone(server=server, extension=extension), local_addr=("127.0.0.1", 0)
    )
    try:
        yield phone
    finally:
        transport.close()
