"""``callguard doctor`` on the private Asterisk: well as it is shipped, and each thing broken on purpose is found."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import policy
from telephone import Daemon

from callguard.commands.installing import known_secret
from callguard.sandbox.guarding import settings_text
from callguard.sandbox.house import sandbox_dir
from callguard.sandbox.world import World

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

Seen = dict[str, list[dict[str, object]]]
Doctor = Callable[..., Awaitable[tuple[int, Seen]]]


@pytest.fixture
def doctor(there: World, tmp_path: Path) -> Doctor:
    """Examines this world; returns the exit code and the findings by check."""

    async def examine(*, secret: str = "", settings: Path | None = None, **environment: str) -> tuple[int, Seen]:
        file = settings or tmp_path / "callguard.toml"
        if settings is None:
            text = settings_text(
                there,
                home=tmp_path,
                bus=tmp_path / "bus",
                policy=policy(tmp_path),
                models=sandbox_dir() / "models",
                hearing=False,
                secret=secret,
            )
            file.write_text(text)
        scripts = tmp_path / "agi.conf"
        scripts.write_text(f"[bus]\nsocket = {there.bus_dir}/valkey.sock\n[keys]\nspool = {there.spool}\n")
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "callguard"),
            "doctor",
            "--settings",
            str(file),
            "--json",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "CALLGUARD_AGI_CONF": str(scripts), **environment},
        )
        out, said = await process.communicate()
        assert b"Traceback" not in said, said
        seen: Seen = {}
        for line in map(json.loads, out.decode().splitlines()):
            seen.setdefault(str(line["check"]), []).append(line)
        return process.returncode or 0, seen

    return examine


def codes(seen: Seen, check: str) -> list[object]:
    return [one["code"] for one in seen[check]]


def wrong(seen: Seen) -> set[object]:
    return {one["code"] for found in seen.values() for one in found if one["state"] == "fail"}


def pasted(seen: Seen, check: str) -> str:
    return json.dumps([one.get("paste") for one in seen[check]], ensure_ascii=False)


@contextmanager
def changed(file: Path, old: str, new: str) -> Iterator[None]:
    """This file with another text, for a while. Asterisk sees by the time that it changed."""
    before = file.read_text()
    assert old in before
    file.write_text(before.replace(old, new))
    os.utime(file, (1, 1))
    try:
        yield
    finally:
        file.write_text(before)


ASIDE = "\n[callguard-doctor](callguard)\n"


async def test_all_is_well(there: World, daemon: Daemon, doctor: Doctor) -> None:
    with changed(there.pbx.folder / "etc" / "manager.conf", "\n[sandbox]", f"{ASIDE}\n[sandbox]"):
        there.pbx.console(there.house, "manager reload")
        async with daemon() as one:
            code, seen = await doctor(settings=one.settings)
    there.pbx.console(there.house, "manager reload")
    assert (code, wrong(seen)) == (0, set())
    assert codes(seen, "daemon") == ["daemon-up", "daemon-says"]  # it does not hear here, and says so
    assert codes(seen, "bus") == ["bus-ok"]
    for check in ("manager", "rights", "events", "modules", "contexts", "destinations", "hooks", "caller", "sounds"):
        assert codes(seen, check) == [f"{check}-ok"], seen[check]
    assert codes(seen, "keys") == ["keys-ok"]  # disconnect is * here, but nothing has the option h or H
    for check in ("version", "clock", "scripts", "store", "disk", "spool", "model"):
        assert all(one["state"] in ("ok", "warn", "skip") for one in seen[check])


async def test_the_daemon_holds_the_account(there: World, daemon: Daemon, doctor: Doctor) -> None:
    file = there.pbx.folder / "etc" / "manager.conf"
    account = ASIDE.strip() if ASIDE.strip() in file.read_text() else "; nothing to take out"
    file.write_text(file.read_text() + "; nothing to take out\n")
    with changed(file, account, ""):
        there.pbx.console(there.house, "manager reload")
        async with daemon() as one:
            code, seen = await doctor(settings=one.settings)
    there.pbx.console(there.house, "manager reload")
    assert code == 0 and codes(seen, "manager") == ["manager-in-use"]
    assert ASIDE.strip() in pasted(seen, "manager")


async def test_missing_feature(there: World, doctor: Doctor) -> None:
    file = there.pbx.folder / "etc" / "features_callguard.conf"
    with changed(file, 'callguard-flag => *7,self/both,Gosub,"callguard-key,s,1(flag)"\n', ""):
        code, seen = await doctor()
    assert code == 1 and wrong(seen) == {"feature-missing"}
    assert "callguard-flag => *7,self/both,Gosub" in pasted(seen, "keys").replace("\\", "")


async def test_other_digits(there: World, doctor: Doctor) -> None:
    with changed(there.pbx.folder / "etc" / "features_callguard.conf", "*8,self", "*2,self"):
        code, seen = await doctor()
    assert code == 1 and wrong(seen) == {"feature-differs"}
    assert "callguard-warn = *2" in str(seen["keys"][0]["text"])


async def test_key_meets_a_built_in(there: World, doctor: Doctor) -> None:
    with changed(there.pbx.folder / "etc" / "features.conf", "atxfer => #2", "atxfer => *7"):
        there.pbx.console(there.house, "module reload features")
        _, seen = await doctor()
    there.pbx.console(there.house, "module reload features")
    assert any(one["code"] == "key-taken" and "*7" in str(one["text"]) for one in seen["keys"])


async def test_missing_sound(there: World, doctor: Doctor) -> None:
    folder = there.sounds / "en" / "callguard"
    gone = [folder / "warn-2.wav", folder / "warn-2.wav16"]
    kept = [one.read_bytes() for one in gone]
    for one in gone:
        one.unlink()
    try:
        code, seen = await doctor()
    finally:
        for one, body in zip(gone, kept, strict=True):
            one.write_bytes(body)
    assert code == 1 and wrong(seen) == {"sound-missing"}
    assert "en/callguard/warn-2" in str(seen["sounds"][0]["text"])
    assert "callguard prompts install" in pasted(seen, "sounds")


async def test_wrong_secret_is_tried_once(there: World, doctor: Doctor) -> None:
    before = there.pbx.log.count("InvalidPassword")
    code, seen = await doctor(secret="wrong")
    assert code == 1 and wrong(seen) == {"manager-refused"}
    assert codes(seen, "rights") == ["needs-manager"]
    assert codes(seen, "sounds") == ["sounds-ok"]
    assert there.pbx.log.count("InvalidPassword") == before + 1


async def test_no_bus(doctor: Doctor) -> None:
    code, seen = await doctor(CALLGUARD_BUS__URL=f"redis://:hidden@127.0.0.1:{free_port()}/0")
    assert code == 1 and wrong(seen) == {"bus-down"}
    assert codes(seen, "daemon") == ["daemon-unseen"]
    assert "hidden" not in json.dumps(seen)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def test_nobody_at_the_manager(doctor: Doctor) -> None:
    code, seen = await doctor(CALLGUARD_ASTERISK__PORT=str(free_port()))
    assert code == 1 and wrong(seen) == {"manager-unreachable"}


async def test_tap_port(there: World, doctor: Doctor) -> None:
    port = free_port()
    code, seen = await doctor(CALLGUARD_TAPS__PORT=str(port))
    assert code == 0 and codes(seen, "tap") == ["tap-ok"]
    code, seen = await doctor(CALLGUARD_TAPS__PORT=str(port), CALLGUARD_TAPS__ADVERTISE=f"127.0.0.1:{free_port()}")
    assert code == 1 and wrong(seen) == {"tap-unreachable"}
    assert "advertise" in pasted(seen, "tap")


async def test_the_ports_of_all_tap_processes_are_tried(doctor: Doctor) -> None:
    port = free_port()
    code, seen = await doctor(CALLGUARD_TAPS__PORT=str(port), CALLGUARD_TAPS__PROCESSES="2")
    assert code == 0 and codes(seen, "tap") == ["tap-ok"]
    assert f":{port}, 127.0.0.1:{port + 1}" in str(seen)
    elsewhere = f"127.0.0.1:{free_port()}"
    with socket.create_server(("127.0.0.1", int(elsewhere.split(":")[1]))):
        code, seen = await doctor(
            CALLGUARD_TAPS__PORT=str(port), CALLGUARD_TAPS__PROCESSES="2", CALLGUARD_TAPS__ADVERTISE=elsewhere
        )
    assert code == 1 and wrong(seen) == {"tap-unreachable"}, "the first is reached, the second is not"


@pytest.mark.parametrize(
    ("breaks", "mends", "check", "code"),
    [
        ("dialplan remove context callguard-warn", "dialplan reload", "contexts", "context-missing"),
        ("module unload app_userevent.so", "module load app_userevent.so", "modules", "module-missing"),
        (
            'dialplan add extension 699,1,Set,"DYNAMIC_FEATURES=callguard-flag" into from-outside',
            "dialplan remove extension 699@from-outside",
            "caller",
            "caller-dialplan",
        ),
        (
            "dialplan add extension 699,1,Gosub,callguard-agent\\,s\\,1 into from-outside",
            "dialplan remove extension 699@from-outside",
            "caller",
            "caller-dialplan",
        ),
        (
            "dialplan add extension 699,1,Dial(PJSIP/agent1,20,tB(callguard-agent^s^1)) into from-outside",
            "dialplan remove extension 699@from-outside",
            "caller",
            "caller-dialplan",
        ),
        (
            "dialplan add extension 699,1,Queue(support,thb(callguard-agent^s^1)) into from-outside",
            "dialplan remove extension 699@from-outside",
            "keys",
            "key-hangs-up",
        ),
        ("dialplan set global DYNAMIC_FEATURES callguard-flag", "dialplan reload", "caller", "caller-global"),
    ],
)
async def test_broken_in_asterisk(there: World, doctor: Doctor, breaks: str, mends: str, check: str, code: str) -> None:
    there.pbx.console(there.house, breaks)
    try:
        rc, seen = await doctor()
    finally:
        there.pbx.console(there.house, mends)
        if "global" in breaks:
            there.pbx.console(there.house, "dialplan set global DYNAMIC_FEATURES ''")
    assert rc == 1 and code in wrong(seen), seen[check]
    assert seen[check][0].get("paste")


@pytest.mark.parametrize(
    ("old", "new", "check", "code"),
    [
        ("write = call,originate,agent,reporting\n", "write = call,reporting\n", "rights", "rights-missing"),
        ("read = call,agent,user,dtmf,reporting\n", "read = call,agent\n", "events", "events-missing"),
        ("write = call,originate,agent,reporting\n", "write = all\n", "rights", "rights-broad"),
    ],
)
async def test_rights(there: World, doctor: Doctor, old: str, new: str, check: str, code: str) -> None:
    with changed(there.pbx.folder / "etc" / "manager.conf", old, new):
        there.pbx.console(there.house, "manager reload")
        rc, seen = await doctor()
    there.pbx.console(there.house, "manager reload")
    assert code in codes(seen, check)
    assert rc == (0 if code == "rights-broad" else 1)
    assert "call,originate,agent,reporting" in pasted(seen, check) or "dtmf" in pasted(seen, check)


async def test_broken_settings_and_policy(tmp_path: Path, doctor: Doctor) -> None:
    (tmp_path / "broken.toml").write_text("[asterisk\n")
    code, seen = await doctor(settings=tmp_path / "broken.toml")
    assert code == 1 and wrong(seen) == {"settings-bad"}
    (tmp_path / "bad-policy.toml").write_text('mode = "shout"\n')
    code, seen = await doctor(CALLGUARD_POLICY__FILE=str(tmp_path / "bad-policy.toml"))
    assert code == 1 and wrong(seen) == {"policy-bad"}
    assert codes(seen, "keys") == ["needs-policy"]


async def test_what_init_writes_is_well(there: World, daemon: Daemon, doctor: Doctor, tmp_path: Path) -> None:
    """The files of ``callguard init`` on this Asterisk: its account, its keys, its dialplan."""
    made, home = tmp_path / "made", tmp_path / "home"
    home.mkdir()
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "callguard"), "init", "--dir", str(made), "--policy", str(policy(home)),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await process.wait() == 0
    etc = there.pbx.folder / "etc"
    secret = known_secret(made / "callguard" / "callguard.toml", made)
    kept = {one.name: one.read_text() for one in etc.glob("*.conf")}
    try:
        for name in ("extensions_callguard.conf", "features_callguard.conf", "destinations_callguard.conf"):
            (etc / name).write_text((made / "asterisk" / name).read_text())
        ours = kept["manager.conf"].index("[sandbox]")
        head = kept["manager.conf"].split("[callguard]")[0]
        account = (made / "asterisk" / "manager_callguard.conf").read_text()
        (etc / "manager.conf").write_text(f"{head}\n{account}\n{kept['manager.conf'][ours:]}")
        there.pbx.console(there.house, "core reload")
        code, seen = await doctor(secret=secret)
        async with daemon(secret=secret) as one:
            code_beside, seen_beside = await doctor(settings=one.settings)
    finally:
        for name, text in kept.items():
            (etc / name).write_text(text)
        there.pbx.console(there.house, "core reload")
    assert (code, wrong(seen)) == (0, set())
    assert (code_beside, wrong(seen_beside)) == (0, set())
    assert codes(seen_beside, "manager") == ["manager-ok"] and codes(seen_beside, "rights") == ["rights-ok"]
