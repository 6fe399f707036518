"""The AGI scripts, with a scripted Asterisk on their stdin and a real Valkey, and with all that may be missing."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from callguard.bus.link import Bus
from callguard.bus.topics import ANSWER_PREFIX, INCOMING, KEYS
from callguard.bus.valkey import EmbeddedValkey

SCRIPTS = Path(__file__).resolve().parents[2] / "agi_scripts"
ODD = ["a\rb", 'quo"te', "${SHELL(id)}", "名前", "x" * 5000]


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("k")


@pytest.fixture
async def valkey(short: Path) -> AsyncIterator[EmbeddedValkey]:
    server = EmbeddedValkey(short / "v")
    await server.start()
    yield server
    await server.stop()


class Script:
    """Runs one script. conf: its settings. spool: where presses go without a bus."""

    def __init__(self, folder: Path, socket: Path, *, spool: Path | None = None, deadline_ms: int = 300) -> None:
        self.spool = spool or folder / "spool"
        if spool is None:
            self.spool.mkdir(exist_ok=True)
        self.conf = folder / "agi.conf"
        self.conf.write_text(f"[bus]\nsocket={socket}\n[keys]\nspool={self.spool}\ndeadline_ms={deadline_ms}\n")

    def run(self, name: str, env: dict[str, str | bytes], *, replies: bytes = b"200 result=1\n" * 6) -> Said:
        head = b"".join(
            f"agi_{k}: ".encode() + (v if isinstance(v, bytes) else v.encode()) + b"\n" for k, v in env.items()
        )
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, str(SCRIPTS / f"callguard_{name}.py")],
            input=head + b"\n" + replies,
            capture_output=True,
            timeout=10,
            env={**os.environ, "CALLGUARD_AGI_CONF": str(self.conf), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        return Said(done, time.monotonic() - began)

    def spooled(self) -> list[dict[str, str]]:
        return [json.loads(file.read_text()) for file in self.spool.glob("*.json")]


class Said:
    def __init__(self, done: subprocess.CompletedProcess[bytes], took_s: float) -> None:
        self.raw, self.stderr, self.rc, self.took_s = done.stdout, done.stderr, done.returncode, took_s
        lines = done.stdout.decode().splitlines()
        assert all(line.startswith('SET VARIABLE "CALLGUARD_') for line in lines), lines
        self.set = {line.split('"')[1].removeprefix("CALLGUARD_"): line.split('"')[3] for line in lines}


PRESS: dict[str, str | bytes] = {
    "uniqueid": "17.2",
    "channel": "PJSIP/agent1-00000001",
    "arg_1": "flag",
    "arg_2": "17.2-1-123456",
    "arg_3": "17.1",
}
CALL: dict[str, str | bytes] = {
    "uniqueid": "17.1",
    "channel": "PJSIP/trunk-00000000",
    "callerid": "0312345678",
    "calleridname": "Pat",
    "arg_1": "support",
    "arg_2": "17.1",
}


async def answering(valkey: EmbeddedValkey, topic: str, answer: dict[str, object]) -> dict[str, str]:
    """Play the daemon for one message; returns its fields."""
    bus = Bus(valkey.url)
    try:
        await bus.say_alive(life_s=10)
        got = await bus.client.xread({topic: "0"}, block=8000, count=1)
        entries = next(iter(got.values())) if isinstance(got, dict) else got[0][1]
        flat = entries[0] if isinstance(entries[0], list) else entries
        fields = {k.decode(): v.decode() for k, v in flat[0][1].items()}
        await bus.answer(fields["id"], answer)
        return fields
    finally:
        await bus.close()


async def alive(valkey: EmbeddedValkey) -> None:
    bus = Bus(valkey.url)
    await bus.say_alive(life_s=10)
    await bus.close()


async def in_thread(work: Callable[[], Said]) -> Said:
    return await asyncio.to_thread(work)


async def test_a_key_is_asked_and_answered(valkey: EmbeddedValkey, short: Path) -> None:
    await alive(valkey)
    script = Script(short, valkey.socket, deadline_ms=1500)
    said, fields = await asyncio.gather(
        in_thread(lambda: script.run("key", PRESS)),
        answering(valkey, KEYS.name, {"tone": "refused", "say": "refusal-repeated", "refusal": "repeated"}),
    )
    assert said.set == {"SAY": "refusal-repeated", "TONE": "refused"}
    assert fields["id"] == "17.2-1-123456" and fields["key"] == "flag" and fields["linkedid"] == "17.1"
    assert abs(int(fields["pressed_at_ms"]) - time.time() * 1000) < 10_000
    assert said.stderr == b"" and said.rc == 0 and script.spooled() == []


async def test_an_answer_that_is_no_plain_word_never_reaches_the_dialplan(valkey: EmbeddedValkey, short: Path) -> None:
    await alive(valkey)
    script = Script(short, valkey.socket, deadline_ms=1500)
    said, _ = await asyncio.gather(
        in_thread(lambda: script.run("key", PRESS)),
        answering(valkey, KEYS.name, {"tone": 'x"\nEXEC System id', "say": "a&http://x/y"}),
    )
    assert said.set == {"SAY": "", "TONE": "recorded-only"}


async def test_without_a_daemon_the_press_is_on_the_stream_at_once(valkey: EmbeddedValkey, short: Path) -> None:
    script = Script(short, valkey.socket)
    said = await in_thread(lambda: script.run("key", PRESS))
    assert said.set["TONE"] == "recorded-only" and script.spooled() == []
    bus = Bus(valkey.url)
    assert await bus.client.xlen(KEYS.name) == 1
    assert await bus.client.exists(ANSWER_PREFIX + "17.2-1-123456") == 0
    await bus.close()


async def test_a_daemon_that_does_not_answer_costs_300_ms_and_no_more(valkey: EmbeddedValkey, short: Path) -> None:
    await alive(valkey)
    said = await in_thread(lambda: Script(short, valkey.socket).run("key", PRESS))
    assert said.set["TONE"] == "recorded-only" and said.took_s < 0.6


def test_without_a_bus_the_press_is_in_the_spool(short: Path) -> None:
    script = Script(short, short / "none.sock")
    said = script.run("key", PRESS)
    assert said.set["TONE"] == "recorded-only"
    (press,) = script.spooled()
    assert press["id"] == "17.2-1-123456" and press["uniqueid"] == "17.2" and not list(script.spool.glob("*.tmp"))


async def test_a_bus_that_hangs_ends_in_the_spool_in_time(short: Path) -> None:
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_unix_server(lambda _, writer: held.append(writer), short / "slow.sock")
    script = Script(short, short / "slow.sock")
    said = await in_thread(lambda: script.run("key", PRESS))
    assert said.set["TONE"] == "recorded-only" and len(script.spooled()) == 1 and said.took_s < 0.6
    server.close()
    for writer in held:
        writer.transport.abort()
    await server.wait_closed()


def test_neither_bus_nor_spool_leaves_it_to_the_dialplan(short: Path) -> None:
    (short / "file").write_text("")
    said = Script(short, short / "none.sock", spool=short / "file").run("key", PRESS)
    assert said.set == {} and said.rc == 0 and said.stderr == b""


@pytest.mark.parametrize(
    "replies", [b"", b"HANGUP\n", b"510 Invalid\n", b"511 Command Not Permitted on a dead channel\n"]
)
def test_a_channel_that_is_gone_makes_no_noise(short: Path, replies: bytes) -> None:
    script = Script(short, short / "none.sock")
    said = script.run("key", PRESS, replies=replies)
    assert said.rc == 0 and said.stderr == b"" and len(script.spooled()) == 1


def test_an_answer_without_end_is_ended(short: Path) -> None:
    said = Script(short, short / "none.sock").run("key", PRESS, replies=b"520-Invalid command syntax\n")
    assert said.took_s < 1.0 and said.stderr == b""


def test_a_press_without_a_known_key_does_nothing(short: Path) -> None:
    script = Script(short, short / "none.sock")
    assert script.run("key", {**PRESS, "arg_1": "everything"}).set == {} and script.spooled() == []
    assert script.run("key", {}).set == {}


def test_a_press_id_is_never_a_path(short: Path) -> None:
    script = Script(short, short / "none.sock")
    script.run("key", {**PRESS, "arg_2": "../../etc/x"})
    (press,) = script.spooled()
    assert len(press["id"]) == 32


async def test_an_incoming_call_is_asked_and_answered(valkey: EmbeddedValkey, short: Path) -> None:
    await alive(valkey)
    script = Script(short, valkey.socket, deadline_ms=1500)
    said, fields = await asyncio.gather(
        in_thread(lambda: script.run("incoming", CALL)),
        answering(valkey, INCOMING.name, {"notice": 1, "route": "700", "language": "ja", "tap": 1}),
    )
    assert said.set == {"ROUTE": "700", "LANGUAGE": "ja", "TAP": "1", "NOTICE": "1"}
    assert (fields["number"], fields["name"], fields["queue"]) == ("0312345678", "Pat", "support")


@pytest.mark.parametrize("route", ["1", "7000000", "700,1", "700&PJSIP/itsp/1", "${X}", "７００"])
async def test_a_route_is_two_to_six_digits_or_none(valkey: EmbeddedValkey, short: Path, route: str) -> None:
    await alive(valkey)
    script = Script(short, valkey.socket, deadline_ms=1500)
    said, _ = await asyncio.gather(
        in_thread(lambda: script.run("incoming", CALL)),
        answering(valkey, INCOMING.name, {"notice": 0, "route": route, "language": "xx", "tap": 0}),
    )
    assert said.set == {"ROUTE": "", "LANGUAGE": "", "TAP": "0", "NOTICE": "0"}


@pytest.mark.parametrize("name", [*ODD, b"M\xfcller", b"\xff\xfe"])
async def test_odd_names_stay_text(valkey: EmbeddedValkey, short: Path, name: str | bytes) -> None:
    await alive(valkey)
    script = Script(short, valkey.socket, deadline_ms=1500)
    said, fields = await asyncio.gather(
        in_thread(lambda: script.run("incoming", {**CALL, "calleridname": name})),
        answering(valkey, INCOMING.name, {"notice": 0, "route": "", "language": "", "tap": 1}),
    )
    assert said.set["TAP"] == "1" and said.stderr == b""
    assert len(fields["name"]) <= 200 and fields["name"].isprintable()


def test_without_a_daemon_an_incoming_call_goes_on(short: Path) -> None:
    said = Script(short, short / "none.sock").run("incoming", CALL)
    assert said.set == {} and said.took_s < 0.6


def test_the_scripts_stay_short() -> None:
    assert all(len(file.read_text().splitlines()) <= 65 for file in SCRIPTS.glob("*.py"))
