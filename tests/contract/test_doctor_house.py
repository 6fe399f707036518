"""The doctor's checks of this machine and of the bus, each with the thing broken."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from callguard.bus.link import Bus
from callguard.bus.messages import HealthTold
from callguard.bus.topics import BOARD
from callguard.bus.valkey import EmbeddedValkey
from callguard.commands.checks import house, wire
from callguard.commands.checks.result import Check, State
from callguard.config import Settings, load_settings
from callguard.model.policy import Policy
from callguard.observe.words import words_for
from callguard.promptfile import NEEDED

Make = Callable[..., Settings]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Settings of a small installation, some of them changed: ``section__key``."""

    def made(**changes: object) -> Settings:
        (tmp_path / "spool").mkdir(exist_ok=True)
        well = {
            "bus__socket_dir": tmp_path / "run",
            "bus__data_dir": tmp_path / "bus",
            "store__url": f"sqlite:///{tmp_path}/callguard.db",
            "store__segments": tmp_path / "segments",
            "store__min_free_mb": 0,
            "speech__model_dir": tmp_path / "models",
            "keys__spool_dir": tmp_path / "spool",
            "prompts__sounds_dir": tmp_path / "sounds",
        }
        overrides = {key.replace("__", ".", 1): value for key, value in (well | changes).items()}
        (tmp_path / "empty.toml").touch()
        return load_settings(tmp_path / "empty.toml", overrides=overrides)

    return made


class Says:
    """A PBX that answers one question."""

    def __init__(self, answer: str | None) -> None:
        self._answer = answer

    async def value(self, variable: str) -> str | None:
        return self._answer


def seen(check: Check) -> tuple[str, State]:
    for language in ("en", "ja"):
        assert "{" not in check.words(language)
    return check.code, check.state


def test_model(make: Make, tmp_path: Path) -> None:
    assert seen(house.model(make(speech__enabled=False))) == ("model-off", State.SKIP)
    missing = house.model(make(speech__model="no-such-model"))
    assert seen(missing) == ("model-none", State.FAIL)
    assert missing.paste is not None and "callguard[models]" in missing.paste.lines
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "model.bin").touch()
    assert seen(house.model(make(speech__model="mine"))) == ("model-ok", State.OK)


async def test_sounds(make: Make, tmp_path: Path) -> None:
    policy = Policy(name="p", hash="", languages=("en", "ja"))
    settings = make()
    missing = await house.sounds(settings, policy, None)
    assert seen(missing) == ("sound-missing", State.FAIL)
    assert missing.facts["count"] == str(2 * len(NEEDED))
    for language in policy.languages:
        folder = tmp_path / "sounds" / language / "callguard"
        folder.mkdir(parents=True)
        for name in NEEDED:
            (folder / f"{name}.wav").touch()
    assert seen(await house.sounds(settings, policy, None)) == ("sounds-ok", State.OK)
    here = Says(str(tmp_path))
    assert seen(await house.sounds(settings, policy, here)) == ("sounds-ok", State.OK)  # type: ignore[arg-type]
    elsewhere = await house.sounds(settings, policy, Says("/somewhere/else"))  # type: ignore[arg-type]
    assert seen(elsewhere) == ("sounds-elsewhere", State.FAIL)
    assert elsewhere.paste is not None and 'sounds_dir = "/somewhere/else/sounds"' in elsewhere.paste.lines
    far = make(asterisk__host="pbx.example.org")
    assert seen(await house.sounds(far, policy, None)) == ("sounds-remote", State.SKIP)


def test_store(make: Make, tmp_path: Path) -> None:
    assert [seen(one) for one in house.store(make())] == [("store-ok", State.OK)]
    assert not (tmp_path / "callguard.db").exists() and not (tmp_path / "segments").exists()
    (tmp_path / "callguard.db").write_bytes(b"this is no database, but it is long enough to be read as one" * 20)
    assert [seen(one) for one in house.store(make())] == [("store-bad", State.FAIL)]
    gone = make(store__url="postgresql+psycopg://nobody@127.0.0.1:1/none?connect_timeout=1")
    assert [seen(one) for one in house.store(gone)] == [("store-bad", State.FAIL)]
    odd = make(store__url="nonsense://x")
    assert [seen(one) for one in house.store(odd)] == [("store-bad", State.FAIL)]


@pytest.fixture
def plain_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere: look with the eyes of a user that may not."""
    monkeypatch.setattr(house, "USER", "nobody")
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_folders_that_the_daemons_user_cannot_write(make: Make, tmp_path: Path, plain_user: None) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "spool").mkdir()
    closed = [house.spool(make()), *house.store(make())]
    assert [seen(one) for one in closed] == [("spool-closed", State.FAIL), *[("store-closed", State.FAIL)] * 2]
    assert all(
        one.facts["user"] == "nobody" and one.paste and "install -d -o nobody" in one.paste.lines for one in closed
    )
    tmp_path.chmod(0o777)
    (tmp_path / "spool").chmod(0o777)
    assert seen(house.spool(make())) == ("spool-ok", State.OK)
    assert [seen(one) for one in house.store(make())] == [("store-ok", State.OK)]


def test_spool(make: Make, tmp_path: Path) -> None:
    assert seen(house.spool(make(keys__spool_dir=tmp_path / "none"))) == ("spool-none", State.FAIL)
    settings = make()
    assert seen(house.spool(settings)) == ("spool-ok", State.OK)
    for number in range(house.WAITING + 1):
        (tmp_path / "spool" / f"{number}.json").touch()
    assert seen(house.spool(settings)) == ("spool-full", State.WARN)


def test_disk(make: Make) -> None:
    assert seen(house.disk(make())) == ("disk-ok", State.OK)
    assert seen(house.disk(make(store__min_free_mb=10**9))) == ("disk-low", State.FAIL)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (lambda: str(int(time.time())), ("clock-ok", State.OK)),
        (lambda: str(int(time.time()) - 60), ("clock-off", State.FAIL)),
        (lambda: "", ("clock-unseen", State.SKIP)),
        (lambda: None, ("clock-unseen", State.SKIP)),
    ],
)
async def test_clock(answer: Callable[[], str | None], found: tuple[str, State]) -> None:
    assert seen(await house.clock(Says(answer()))) == found  # type: ignore[arg-type]


@pytest_asyncio.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "bus", socket_dir=tmp_path / "run")
    await server.start()
    yield server
    await server.stop()


async def test_bus(make: Make, valkey: EmbeddedValkey) -> None:
    settings = make()
    assert [seen(one) for one in await wire.bus(settings)] == [("bus-ok", State.OK), ("daemon-down", State.WARN)]
    assert not await wire.alive(settings)
    link = Bus(valkey.url)
    await link.say_alive(life_s=60)
    assert [one.code for one in await wire.bus(settings)] == ["bus-ok", "daemon-up"]
    assert await wire.alive(settings)
    parts = {"pbx": "ok", "speech": "model-missing", "taps": "1 of 2"}
    told = HealthTold(sent_at=datetime.now(UTC), parts=parts)
    await link.publish(BOARD, {"kind": "nothing we know"})
    await link.add(BOARD, {"json": told.model_dump_json()})
    said = [one for one in await wire.bus(settings, "ja") if one.code == "daemon-says"]
    assert {one.facts["part"]: one.facts["text"] for one in said} == {
        "speech": words_for("model-missing", "ja"),
        "taps": "1 of 2",
    }
    await link.client.config_set("maxmemory-policy", "allkeys-lru")
    assert seen((await wire.bus(settings))[0]) == ("bus-evicts", State.WARN)
    await link.close()


async def test_bus_away(make: Make, tmp_path: Path) -> None:
    assert [one.code for one in await wire.bus(make())] == ["bus-own", "daemon-down"]
    away = make(bus__url="redis://user:hidden@127.0.0.1:1/0")
    found = await wire.bus(away)
    assert [seen(one) for one in found] == [("bus-down", State.FAIL), ("daemon-unseen", State.SKIP)]
    assert "hidden" not in found[0].words("en") and "127.0.0.1:1" in found[0].words("en")
    assert not await wire.alive(away)
    long = make(bus__socket_dir=tmp_path / ("x" * 100))
    assert [one.code for one in await wire.bus(long)] == ["bus-long-path"]


@pytest.mark.parametrize(
    ("conf", "code"),
    [
        ("[bus]\nsocket = {run}/valkey.sock\n[keys]\nspool = {spool}\n", "scripts-ok"),
        ("[bus]\nsocket = {run}/valkey.sock ; a comment\n[keys]\nspool = {spool}\n", "scripts-differ"),
        ("[bus]\nurl = redis://elsewhere:6379\n[keys]\nspool = {spool}\n", "scripts-differ"),
        ("[bus]\nsocket = {run}/valkey.sock\n", "scripts-differ"),
    ],
)
def test_scripts(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conf: str, code: str) -> None:
    file = tmp_path / "agi.conf"
    file.write_text(conf.format(run=tmp_path / "run", spool=tmp_path / "spool"))
    monkeypatch.setenv(wire.AGI_VARIABLE, str(file))
    found = wire.scripts(make())
    assert found.code == code
    if code != "scripts-ok":
        assert found.paste is not None and f"socket = {tmp_path}/run/valkey.sock" in found.paste.lines


def test_the_same_server_spelled_in_two_ways(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "agi.conf"
    file.write_text(f"[bus]\nurl = rediss://scripts:pw@bus:6379\n[keys]\nspool = {tmp_path / 'spool'}\n")
    monkeypatch.setenv(wire.AGI_VARIABLE, str(file))
    assert wire.scripts(make(bus__url="rediss://daemon:other@bus/0")).code == "scripts-ok"
