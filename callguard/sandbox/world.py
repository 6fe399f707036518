"""A private world: a guarded PBX, an outside that rings it, and telephones whose every sound is kept.

What callers and agents hear is recorded by the outside, where a person's ear would be. Everything lives in one
folder, listens on loopback alone, on free ports, and is gone when the world stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from callguard import promptfile
from callguard.asterisk.link import AmiLink, Expects
from callguard.model.errors import PeerFault
from callguard.sandbox import conf
from callguard.sandbox.house import SCRIPTS_ENV, House
from callguard.shipped import shipped, shipped_root

START_S = 40.0
STOP_S = 8.0
SOCKET_ROOM = 80
"""Longest folder, in bytes, whose unix sockets still have a legal path."""

KEEP_VARIABLE = "CALLGUARD_SANDBOX_KEEP"
"""Where this is set, a stopped world's logs and recordings stay in its folder."""

CAME = "came"
"""Our own header on every event: the steady clock when it came, in seconds."""

Headers = dict[str, str]


@dataclass(slots=True)
class Asterisk:
    """One running instance and our manager link to it. events: every event, as headers, in order."""

    name: str
    folder: Path
    ports: conf.Ports
    secret: str
    process: asyncio.subprocess.Process | None = None
    link: AmiLink | None = None
    events: list[Headers] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def ask(self, **headers: str | list[str]) -> None:
        """A manager action; raises PeerFault where Asterisk refuses it."""
        assert self.link is not None
        originate = headers["Action"] == "Originate"
        answer = await self.link.ask(headers, expects=Expects.ORIGINATE if originate else Expects.ONE, timeout_s=30)
        if any(m.response == "Error" for m in answer):
            raise PeerFault(f"{self.name} refused {headers['Action']}", code="sandbox-refused")

    async def until(self, wanted: Callable[[Headers], bool], *, timeout_s: float, after: int = 0) -> Headers:
        """The first event like this, of those since ``after`` (a length of ``events``). Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self.news:
            while True:
                for event in self.events[after:]:
                    if wanted(event):
                        return event
                after = len(self.events)
                await self.news.wait()

    def take(self, message: object) -> None:
        """An event came."""
        headers = {k: v if isinstance(v, str) else str(v) for k, v in dict(message).items()}  # type: ignore[call-overload]
        self.events.append(headers | {CAME: str(time.monotonic())})
        task = asyncio.get_running_loop().create_task(self._wake())
        _WAKING.add(task)
        task.add_done_callback(_WAKING.discard)

    async def _wake(self) -> None:
        async with self.news:
            self.news.notify_all()

    def console(self, house: House, command: str) -> str:
        """What Asterisk's console answers."""
        words = house.command("asterisk", "-C", f"{house.inside(self.folder)}/etc/asterisk.conf", "-rx", command)
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=20).stdout

    @property
    def log(self) -> str:
        """Asterisk's own log so far."""
        file = self.folder / "log" / "full"
        return file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""


_WAKING: set[asyncio.Task[None]] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handset:
    """Somebody's ear and mouth in the outside world. id: its channel there."""

    world: World
    id: str

    @property
    def heard(self) -> Path:
        """What it heard, complete once it hung up."""
        return self.world.records / f"{self.id}.heard.wav"

    @property
    def said(self) -> Path:
        """What it said."""
        return self.world.records / f"{self.id}.said.wav"

    async def say(self, sound: Path, *, wait: bool = True) -> None:
        """Speak a sound file of 8 kHz mono; ``wait`` until it was said or the line is dead."""
        speech = uuid.uuid4().hex
        copy = self.world.speech / f"{speech}.wav"
        await asyncio.to_thread(shutil.copyfile, sound, copy)
        outside, since = self.world.outside, len(self.world.outside.events)
        inside = self.world.house.inside(copy).removesuffix(".wav")
        for name, value in (("SPEECH", inside), ("SPEECH_ID", speech)):
            await outside.ask(Action="Setvar", Channel=self.id, Variable=name, Value=value)
        await outside.ask(Action="Redirect", Channel=self.id, Context="speak", Exten="s", Priority="1")
        if wait:
            await outside.until(lambda e: self._spoken(e, speech), timeout_s=120, after=since)

    def _spoken(self, event: Headers, speech: str) -> bool:
        return event.get("Speech") == speech or (event.get("Event") == "Hangup" and event.get("Uniqueid") == self.id)

    async def press(self, digits: str, *, gap_s: float = 0.12) -> None:
        """Press telephone keys (RFC 4733)."""
        for digit in digits:
            await self.world.outside.ask(Action="PlayDTMF", Channel=self.id, Digit=digit, Duration="100", Async="false")
            await asyncio.sleep(0.1 + gap_s)

    async def hang_up(self) -> None:
        """Put the handset down, and wait until the line is gone."""
        with contextlib.suppress(PeerFault):
            await self.world.outside.ask(Action="Hangup", Channel=self.id)
        await self.gone()

    async def gone(self, timeout_s: float = 15.0) -> None:
        """Until the line is dead and its sound is on disk."""
        await self.world.outside.until(
            lambda e: e.get("Event") == "Hangup" and e.get("Uniqueid") == self.id, timeout_s=timeout_s
        )
        async with asyncio.timeout(timeout_s):
            while not await asyncio.to_thread(_closed, self.heard):  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.05)


def _closed(wav: Path) -> bool:
    """The recorder has put the length into the header, which it does last."""
    try:
        size, raw = wav.stat().st_size, wav.read_bytes()[40:44]
    except FileNotFoundError:
        return False
    return int.from_bytes(raw, "little") == size - 44


class World:
    """See the module. Made by ``world()``."""

    def __init__(self, house: House, *, language: str) -> None:
        self.house, self.language = house, language
        self.folder = Path(tempfile.mkdtemp(prefix="w", dir=house.runs))
        self.folder.chmod(0o755)
        self.records, self.speech = self.folder / "records", self.folder / "speech"
        self.sounds = self.folder / "data" / "sounds"
        self.spool = self.folder / "keys"
        self.ami_secret = secrets.token_hex(12)
        self._link_dir: Path | None = None
        self.pbx = self._instance("pbx")
        self.outside = self._instance("outside")

    def _instance(self, name: str) -> Asterisk:
        return Asterisk(name=name, folder=self.folder / name, ports=_ports(), secret=secrets.token_hex(12))

    @property
    def bus_dir(self) -> Path:
        """Where the daemon's Valkey has its socket: the scripts inside reach it too."""
        folder = self.folder / "bus"
        if len(os.fsencode(folder)) <= SOCKET_ROOM:
            return folder
        if self._link_dir is None:
            self._link_dir = Path(tempfile.mkdtemp(prefix="callguard-"))
            (self._link_dir / "bus").symlink_to(folder)
        return self._link_dir / "bus"

    async def start(self) -> None:
        """Both instances up, our links logged in. Raises PeerFault where one does not come up."""
        await asyncio.to_thread(self._furnish)
        await asyncio.gather(self._launch(self.pbx), self._launch(self.outside))

    async def stop(self) -> None:
        """End both and remove the folder."""
        await asyncio.gather(*(self._end(one) for one in (self.pbx, self.outside)), return_exceptions=True)
        if not os.environ.get(KEEP_VARIABLE):
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)
        if self._link_dir is not None:
            shutil.rmtree(self._link_dir, ignore_errors=True)

    def _furnish(self) -> None:
        for folder in (self.records, self.speech, self.sounds, self.spool, self.folder / "bus"):
            folder.mkdir(parents=True, exist_ok=True)
        self.spool.chmod(0o770)
        (self.folder / "data" / "documentation").symlink_to(self.house.documentation)
        for language in promptfile.languages(shipped("prompts")):
            promptfile.install(promptfile.load_prompts(shipped("prompts"), language), self.sounds)
        self._lay_scripts()
        dialplan = _dialplan()
        manager = (
            (dialplan / "manager_callguard.conf").read_text(encoding="utf-8").replace("CHANGE-ME", self.ami_secret)
        )
        for one, files in (
            (
                self.pbx,
                conf.pbx(
                    self.pbx.ports,
                    self.outside.ports,
                    manager=manager,
                    secret=self.pbx.secret,
                    play_language=self.language,
                ),
            ),
            (
                self.outside,
                conf.outside(
                    self.outside.ports,
                    self.pbx.ports,
                    secret=self.outside.secret,
                    records=self.house.inside(self.records),
                ),
            ),
        ):
            conf.write(one.folder / "etc", {**conf.common(self._folders(one), one.ports), **files})
        for name in ("extensions_callguard.conf", "features_callguard.conf", "destinations_callguard.conf"):
            shutil.copyfile(dialplan / name, self.pbx.folder / "etc" / name)

    def _folders(self, one: Asterisk) -> dict[str, str]:
        base = self.house.inside(one.folder)
        for part in ("run", "log", "spool", "lib"):
            (one.folder / part).mkdir(parents=True, exist_ok=True)
        return {
            "astetcdir": f"{base}/etc",
            "astvarlibdir": f"{base}/lib",
            "astdbdir": f"{base}/lib",
            "astkeydir": f"{base}/lib",
            "astdatadir": self.house.inside(self.folder / "data"),
            "astagidir": self.house.inside(self.folder / "agi"),
            "astspooldir": f"{base}/spool",
            "astrundir": f"{base}/run",
            "astlogdir": f"{base}/log",
        }

    def _lay_scripts(self) -> None:
        """The AGI scripts, with their settings and, outside of a root, with our own Python."""
        goal = self.folder / "agi"
        shutil.copytree(_scripts(), goal, ignore=shutil.ignore_patterns("__pycache__"))
        if self.house.root is None:
            python = shutil.which("python3", path=str(Path(os.sys.executable).parent)) or os.sys.executable  # type: ignore[attr-defined]
            for script in goal.glob("callguard_*.py"):
                text = script.read_text(encoding="utf-8")
                script.write_text(text.replace(f"#!/{SCRIPTS_ENV}/bin/python3", f"#!{python}"), encoding="utf-8")
        socket_file = self.house.inside(self.folder / "bus" / "valkey.sock")
        (self.folder / "agi.conf").write_text(
            f"[bus]\nsocket = {socket_file}\n[keys]\nspool = {self.house.inside(self.spool)}\n", encoding="utf-8"
        )

    async def _launch(self, one: Asterisk) -> None:
        words = self.house.command("asterisk", "-C", f"{self.house.inside(one.folder)}/etc/asterisk.conf", "-f")
        environment = {
            **os.environ,
            "CALLGUARD_AGI_CONF": self.house.inside(self.folder / "agi.conf"),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        one.process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
        one.link = AmiLink(
            host="127.0.0.1",
            port=one.ports.ami,
            username="sandbox",
            secret=one.secret,
            on_event=one.take,
            on_up=_nothing,
            on_down=lambda reason: None,
            backoff_s=(0.1, 0.3),
        )
        await one.link.start()
        try:
            await one.link.wait_up(START_S)
            await one.until(lambda e: e.get("Event") == "FullyBooted", timeout_s=START_S)
        except Exception as error:
            raise PeerFault(
                f"the private Asterisk ({one.name}) did not start",
                code="sandbox-asterisk-down",
                hint=f"read {one.folder}/log/full",
            ) from error

    async def again(self, one: Asterisk) -> None:
        """Kill it where it stands (its calls die with it), and start it anew."""
        if one.link is not None:
            await one.link.stop()
        if one.process is not None and one.process.returncode is None:
            one.process.kill()
            await one.process.wait()
        await self._launch(one)

    async def _end(self, one: Asterisk) -> None:
        if one.link is not None:
            await one.link.stop()
        process = one.process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    # what people do

    async def ring(
        self, extension: str = "600", *, number: str = "0312345678", name: str = "", timeout_s: float = 30.0
    ) -> Handset:
        """A caller rings an extension of the PBX; returns once the PBX has answered."""
        channel = f"caller-{uuid.uuid4().hex}"
        since = len(self.outside.events)
        await self.outside.ask(
            Action="Originate",
            Channel=f"PJSIP/{extension}@pbx",
            Context="up",
            Exten="s",
            Priority="1",
            CallerID=f'"{name}" <{number}>' if name else number,
            ChannelId=channel,
            Timeout=str(int(timeout_s * 1000)),
            Async="true",
        )
        await self.outside.until(
            lambda e: e.get("UserEvent") == "SandboxUp" and e.get("Uniqueid") == channel,
            timeout_s=timeout_s,
            after=since,
        )
        return Handset(world=self, id=channel)

    async def dial(self, phone: str, extension: str, *, timeout_s: float = 30.0) -> Handset:
        """One of the PBX's telephones dials an extension; returns once it was answered."""
        channel = f"phone-{uuid.uuid4().hex}"
        since = len(self.outside.events)
        await self.outside.ask(
            Action="Originate",
            Channel=f"PJSIP/{extension}@{phone}",
            Context="up",
            Exten="s",
            Priority="1",
            ChannelId=channel,
            Timeout=str(int(timeout_s * 1000)),
            Async="true",
        )
        await self.outside.until(
            lambda e: e.get("UserEvent") == "SandboxUp" and e.get("Uniqueid") == channel,
            timeout_s=timeout_s,
            after=since,
        )
        return Handset(world=self, id=channel)

    async def phone(self, name: str, *, after: int = 0, timeout_s: float = 30.0) -> Handset:
        """The handset of this telephone, once it answered (since ``after``, a length of ``outside.events``)."""
        event = await self.outside.until(
            lambda e: e.get("UserEvent") == "SandboxUp" and e.get("Phone") == name, timeout_s=timeout_s, after=after
        )
        return Handset(world=self, id=event["Uniqueid"])

    async def answering(self, seconds: str) -> None:
        """How long telephones ring before they answer; "no" for never."""
        await self.outside.ask(Action="Setvar", Variable="ANSWER_S", Value=seconds)


@contextlib.asynccontextmanager
async def world(house: House, *, language: str = "en") -> AsyncIterator[World]:
    """A world while it is needed. Gone afterwards, whatever happened."""
    here = World(house, language=language)
    try:
        await here.start()
        yield here
    finally:
        await here.stop()


async def _nothing() -> None:
    """Nothing to do."""


def _dialplan() -> Path:
    top = shipped_root().parent
    return top / "dialplan" if (top / "dialplan").is_dir() else top / "shipped_dialplan"


def _scripts() -> Path:
    top = shipped_root().parent
    return top / "agi_scripts" if (top / "agi_scripts").is_dir() else top / "shipped_agi"


def _ports() -> conf.Ports:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        return conf.Ports(ami=tcp.getsockname()[1], sip=udp.getsockname()[1], rtp=random.randrange(10000, 30000, 200))
