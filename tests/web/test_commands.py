"""``callguard user`` and what is vendored; the desk stops when its loop wants it to."""

import asyncio
import hashlib
import json
import socket
import tomllib
from pathlib import Path

import httpx
import pytest
import world
from conftest import QUICK
from typer.testing import CliRunner

import callguard.web
from callguard.commands.user import app
from callguard.store.opening import open_store
from callguard.web.serve import make_app, serve

VENDORED = Path(callguard.web.__file__).parent / "static" / "vendor"


@pytest.fixture
def call(tmp_path):
    file = tmp_path / "callguard.toml"
    file.write_text(
        '[store]\nurl = "sqlite:///' + str(tmp_path / "c.db") + '"\nsegments = "segments"\n', encoding="utf-8"
    )

    def go(*arguments, typed=""):
        return CliRunner().invoke(app, [*arguments, "--settings", str(file)], input=typed)

    return go


def test_the_first_account_is_made_and_closed(call):
    made = call(
        "add", "root", "--role", "admin", "--role", "supervisor", "--password-stdin", typed=world.PASSWORD + "\n"
    )
    assert made.exit_code == 0, made.output
    listed = json.loads(call("list", "--json").stdout)
    assert [(one["name"], one["roles"], one["disabled"]) for one in listed] == [
        ("root", ["admin", "supervisor"], False)
    ]
    assert call("disable", "root").exit_code == 0
    assert json.loads(call("list", "--json").stdout)[0]["disabled"]
    assert call("password", "root", "--password-stdin", typed="another plain long one\n").exit_code == 0


def test_there_is_no_account_and_no_password_by_default(call):
    assert call("list").stdout == ""
    weak = call("add", "root", "--role", "admin", "--password-stdin", typed="\n")
    assert weak.exit_code != 0 and weak.exception.code == "password-weak"
    assert call("disable", "nobody").exception.code == "no-account"


def test_an_unknown_role_is_refused(call):
    assert call("add", "x", "--role", "boss", "--password-stdin", typed=world.PASSWORD + "\n").exit_code == 2


def test_what_is_vendored_is_what_it_says():
    for name, facts in tomllib.loads((VENDORED / "VENDORED.toml").read_text()).items():
        assert hashlib.sha256((VENDORED / name).read_bytes()).hexdigest() == facts["sha256"]
        assert (VENDORED / facts["license_file"]).read_text().strip() and facts["license"]


async def test_the_desk_stops_with_a_page_open(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/c.db", segments=tmp_path / "segments")
    desk = make_app(world.settings(tmp_path), store, None, argon=QUICK)
    world.add_people(desk.state.desk.accounts)
    cookie, _ = desk.state.desk.accounts.open("mori", host="h", browser="b", hours=1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serving = asyncio.create_task(serve(desk, "127.0.0.1", port))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", cookies={"callguard": cookie}) as client:
        async with asyncio.timeout(10):
            while True:
                try:
                    await client.get("/sign-in")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
        async with client.stream("GET", "/board/events") as stream:
            lines = stream.aiter_lines()
            async with asyncio.timeout(5):
                await anext(lines)
            serving.cancel()
            async with asyncio.timeout(6):
                await asyncio.gather(serving, return_exceptions=True)
    assert serving.cancelled()
    store.close()
