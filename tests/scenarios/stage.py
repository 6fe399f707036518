"""What the scenarios share: a call on stage, what it told, what is in its record afterwards."""

from __future__ import annotations

import asyncio
import io
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import soundfile

from callguard.bus.messages import Order, OrderAnswer
from callguard.bus.topics import ORDERS
from callguard.model.ids import CaseId
from callguard.sandbox.guarding import Guarding
from callguard.sandbox.world import Handset, Headers, World
from callguard.shipped import shipped
from callguard.store import open_store, proof
from callguard.store.signing import signing_key
from callguard.store.store import Store
from callguard.store.trail import AuditLine

PROMPTS = shipped("prompts") / "en"
Daemons = Callable[..., AbstractAsyncContextManager[Guarding]]

PATIENCE_S = 45.0
"""Two busy cores may be slow; nothing is asserted of how long a thing took unless the test says so."""


def of(event: object, name: str) -> Any:
    """A field of a board event, None where it has none."""
    return getattr(event, name, None)


def prompt(name: str, language: str = "en") -> Path:
    """A shipped announcement."""
    return shipped("prompts") / language / f"{name}.wav"


@dataclass(frozen=True, slots=True, kw_only=True)
class Playhouse:
    """A world and the daemon that guards it."""

    there: World
    one: Guarding

    async def call(
        self, extension: str = "600", *, agent: str = "agent1", number: str = "0312345678", answer: bool = True
    ) -> Talk:
        """A caller and an agent talk, and the daemon knows. not answer: returns once the board has the call."""
        since, told, pbx = len(self.there.outside.events), len(self.one.board), len(self.there.pbx.events)
        known = {of(e, "call") for e in self.one.board}
        caller = await self.there.ring(extension, number=number)
        phone = await self.there.phone(agent, after=since) if answer else caller
        row = await self.one.until(
            lambda e: (
                of(e, "kind") == "call"
                and of(e, "call") not in known
                and bool(of(e, "agent_channel") or not answer)
                and not of(e, "ended")
            ),
            timeout_s=PATIENCE_S,
            after=told,
        )
        talk = Talk(
            there=self.there,
            one=self.one,
            caller=caller,
            agent=phone,
            call=str(of(row, "call")),
            told=told,
            pbx=pbx,
            outside=since,
        )
        if answer:
            await talk.tapped()
        return talk

    async def reload(self, file: Path, text: str) -> None:
        """Give the PBX other features."""
        await asyncio.to_thread(file.write_text, text)
        await asyncio.to_thread(self.there.pbx.console, self.there.house, "module reload features")


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One call. told, pbx, outside: lengths of the board and of both event lists when it began."""

    there: World
    one: Guarding
    caller: Handset
    agent: Handset
    call: str
    told: int
    pbx: int
    outside: int

    # what is told

    async def heard_of(
        self, wanted: Callable[[Any], bool], *, after: int | None = None, wait_s: float = PATIENCE_S
    ) -> Any:
        """The first such event of this call on the board."""
        return await self.one.until(
            lambda e: of(e, "call") == self.call and wanted(e),
            timeout_s=wait_s,
            after=self.told if after is None else after,
        )

    def all(self, kind: str) -> list[Any]:
        """Every event of this kind that the board was told of this call."""
        return [e for e in self.one.board[self.told :] if of(e, "call") == self.call and of(e, "kind") == kind]

    @property
    def row(self) -> Any:
        """The board's newest line of this call."""
        return self.all("call")[-1]

    async def effect(self, name: str, *, after: int | None = None, wait_s: float = 40.0) -> Any:
        """What came of the action of this name."""
        return await self.heard_of(
            lambda e: of(e, "kind") == "action" and e.name == name and e.effect != "begun", after=after, wait_s=wait_s
        )

    async def begun(self, name: str, *, after: int | None = None) -> Any:
        """The action of this name has begun."""
        return await self.heard_of(lambda e: of(e, "kind") == "action" and e.name == name, after=after)

    async def pbx_says(self, wanted: Callable[[Headers], bool], *, after: int | None = None) -> Headers:
        """The first such manager event since the call began."""
        return await self.there.pbx.until(wanted, timeout_s=PATIENCE_S, after=self.pbx if after is None else after)

    async def tapped(self, count: int = 2) -> None:
        """Until so many taps were seen to start."""
        seen: set[str] = set()

        def enough(event: Headers) -> bool:
            if event.get("Event") == "ChanSpyStart" and event.get("SpyerUniqueid", "").startswith("cg-"):
                seen.add(event["SpyeeUniqueid"])
            return len(seen) >= count

        await self.pbx_says(enough)

    # what people do

    async def key(self, digits: str, name: str, *, by: Handset | None = None) -> Any:
        """The agent presses a key; returns what the board was told, once the tone is over and the agent is back."""
        told, pbx = len(self.one.board), len(self.there.pbx.events)
        await (by or self.agent).press(digits)
        taken = await self.heard_of(lambda e: of(e, "kind") == "key" and e.key == name, after=told)
        await self.pbx_says(
            lambda e: (
                e.get("Event") == "Newexten"
                and e.get("Context") == "callguard-key"
                and e.get("Application") == "Return"
            ),
            after=pbx,
        )
        return taken

    async def order(self, what: str, *, phone: str = "", request: str = "", interface: str = "") -> OrderAnswer:
        """A supervisor's order, as the board gives it."""
        wish = Order(
            id=uuid.uuid4().hex,
            what=what,
            call=self.call,
            by="mori",
            supervisor=phone,
            request=request,
            interface=interface,
            expires_at=datetime.now(UTC) + timedelta(seconds=40),
        )
        await self.one.bus.add(ORDERS, {"json": wish.model_dump_json()})
        answer = await self.one.bus.client.blpop([f"callguard:answer:{wish.id}"], timeout=40)
        assert answer is not None
        return OrderAnswer.model_validate_json(answer[1])

    async def over(self, *others: Handset) -> None:
        """The caller hangs up; everybody's line is dead, the daemon knows, no tap is left."""
        await self.caller.hang_up()
        for one in (self.agent, *others):
            await one.gone()
        await self.ended()

    async def ended(self) -> None:
        """Until the board says that the call is over and nothing of ours is left on the PBX."""
        await self.heard_of(lambda e: of(e, "kind") == "call" and e.ended)
        await self.silent()

    async def silent(self) -> None:
        """Until every channel of ours is gone."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.own_channels():  # noqa: ASYNC110 - the console tells nobody
                await asyncio.sleep(0.3)

    async def own_channels(self) -> list[str]:
        """Channels of taps, announcements and supervisors that exist now."""
        shown = await asyncio.to_thread(self.there.pbx.console, self.there.house, "core show channels concise")
        return [line for line in shown.splitlines() if "!ChanSpy!" in line or line.startswith("AudioSocket/")]

    # what is on record

    @property
    def case(self) -> str:
        """The id of this call's case, "" where nobody flagged it."""
        return next((e.case for e in self.all("case")), "")

    async def finished(self) -> str:
        """Until the case is closed; its id."""
        told = await self.heard_of(lambda e: of(e, "kind") == "case" and e.status == "finished")
        return str(told.case)

    def lines(self, kind: str = "") -> list[dict[str, Any]]:
        """The case's story, or its lines of one kind."""
        with self.store() as store:
            return [dict(one.data) for one in store.records(CaseId(self.case)) if kind in ("", one.kind.value)]

    def audits(self) -> list[AuditLine]:
        """The audit's lines about this call."""
        with self.store() as store:
            return list(store.audit_lines(thing=f"call:{self.call}"))

    def tracks(self, into: Path) -> dict[str, Path]:
        """The case's sound out of its signed bundle, by track, as WAV."""
        with self.store() as store:
            data = store.export(CaseId(self.case), who="mori")
            assert proof.verify(data, signing_key(store.keys).public_key()).whole
        tracks: dict[str, Path] = {}
        with zipfile.ZipFile(io.BytesIO(data)) as bundle:
            for name in (one for one in bundle.namelist() if one.endswith(".flac")):
                sound, rate = soundfile.read(io.BytesIO(bundle.read(name)), dtype="int16")
                tracks[Path(name).stem] = into / f"{Path(name).stem}.wav"
                soundfile.write(tracks[Path(name).stem], sound, rate)
        return tracks

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The daemon's own store, opened beside it."""
        home = self.one.settings.parent
        store = open_store(f"sqlite:///{home}/callguard.db", segments=home / "segments")
        try:
            yield store
        finally:
            store.close()
