"""What a check may ask of Asterisk: questions alone, with the rights of the minimal account."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from callguard.asterisk.events import text
from callguard.asterisk.link import AmiLink, Expects, LinkState
from callguard.model.errors import AmiFault

LONG_S = 20.0
"""A dialplan of a big PBX has tens of thousands of lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One priority of the dialplan."""

    context: str
    extension: str
    application: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """One channel now. application: what it runs. features: its DYNAMIC_FEATURES."""

    name: str
    application: str
    features: str


class Eyes(Protocol):
    """Questions to a PBX. Each raises AmiFault where it does not answer; None: it does not say."""

    async def value(self, variable: str) -> str | None:
        """A global variable, or a dialplan function that only reads."""

    async def version(self) -> str:
        """As Asterisk spells it."""

    async def actions(self) -> frozenset[str]:
        """The manager actions this account may use."""

    async def dialplan(self) -> tuple[Line, ...] | None:
        """Every line of it."""

    async def live(self) -> tuple[Live, ...]:
        """Every channel now."""

    async def connects(self, address: str) -> bool:
        """Whether Asterisk can open an AudioSocket to this address. No telephone rings."""


@contextlib.asynccontextmanager
async def looking(
    *, host: str, port: int, username: str, secret: str, tls: ssl.SSLContext | None, timeout_s: float
) -> AsyncIterator[AmiEyes]:
    """Log in once and look. Raises AmiFault, and never tries a second time: a refused login may be counted."""
    link = AmiLink(
        host=host,
        port=port,
        username=username,
        secret=secret,
        on_event=lambda message: None,
        on_up=_nothing,
        on_down=lambda reason: None,
        tls=tls,
        timeout_s=timeout_s,
        backoff_s=(600.0, 600.0),
    )
    await link.start()
    try:
        await _once(link, timeout_s)
        yield AmiEyes(link)
    finally:
        await link.stop()


async def _once(link: AmiLink, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s * 2 + 1):
            while link.state is not LinkState.UP and not _given_up(link):  # noqa: ASYNC110 - the link tells nobody
                await asyncio.sleep(0.02)
    if link.state is not LinkState.UP:
        raise AmiFault("no manager connection to Asterisk", code=link.reason or "ami-lost")


def _given_up(link: AmiLink) -> bool:
    return link.state is LinkState.DOWN and (link.reason != "ami-lost" or link.connects > 0)


async def _nothing() -> None:
    """Nothing to fetch."""


class AmiEyes:
    """Eyes over the manager."""

    def __init__(self, link: AmiLink) -> None:
        self._link = link

    async def value(self, variable: str) -> str | None:
        """See Eyes."""
        return await self._get({"Action": "Getvar", "Variable": variable})

    async def version(self) -> str:
        """See Eyes."""
        answer = (await self._link.ask({"Action": "CoreSettings"}))[0]
        return text(answer, "AsteriskVersion").removeprefix("Asterisk ")

    async def actions(self) -> frozenset[str]:
        """See Eyes."""
        answer = (await self._link.ask({"Action": "ListCommands"}))[0]
        return frozenset(str(name) for name, said in dict(answer).items() if "(Priv:" in str(said))

    async def dialplan(self) -> tuple[Line, ...] | None:
        """See Eyes."""
        answer = await self._link.ask({"Action": "ShowDialPlan"}, expects=Expects.LIST, timeout_s=LONG_S)
        if answer[0].response == "Error":
            return None
        return tuple(_line(m) for m in answer if text(m, "Event") == "ListDialplan" and text(m, "Application"))

    async def live(self) -> tuple[Live, ...]:
        """See Eyes."""
        answer = await self._link.ask({"Action": "CoreShowChannels"}, expects=Expects.LIST, timeout_s=LONG_S)
        seen = []
        for message in answer:
            if text(message, "Event") == "CoreShowChannel":
                name, application = text(message, "Channel"), text(message, "Application")
                features = await self._get({"Action": "Getvar", "Channel": name, "Variable": "DYNAMIC_FEATURES"})
                seen.append(Live(name=name, application=application, features=features or ""))
        return tuple(seen)

    async def connects(self, address: str) -> bool:
        """See Eyes."""
        answer = await self._link.ask(
            {
                "Action": "Originate",
                "Channel": f"AudioSocket/{address}/{uuid.uuid4()}/c(slin)",
                "Application": "Wait",
                "Data": "0.1",
                "ChannelId": f"cg-doctor-{uuid.uuid4().hex}",
                "Timeout": "3000",
            },
            expects=Expects.ORIGINATE,
            timeout_s=8.0,
        )
        return len(answer) > 1 and text(answer[-1], "Response") == "Success"

    async def _get(self, headers: Mapping[str, str]) -> str | None:
        answer = (await self._link.ask(headers))[0]
        return None if answer.response == "Error" else text(answer, "Value")


def _line(message: Any) -> Line:
    return Line(
        context=text(message, "Context"),
        extension=text(message, "Extension"),
        application=text(message, "Application"),
        data=text(message, "AppData"),
    )
