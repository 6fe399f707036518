"""The desk served for real over a real store and a real bus, and a real Chromium to look at it with."""

import asyncio
import shutil
import socket
import sys
import tempfile
import threading
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from callguard.bus.link import Bus
from callguard.bus.topics import BOARD
from callguard.bus.valkey import EmbeddedValkey
from callguard.store.opening import open_store
from callguard.web.serve import make_app, serve

sys.path.insert(0, str(Path(__file__).parent))
import world

QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


class House:
    """A running desk. ``tell`` puts events on its bus from any thread."""

    def __init__(self, tmp, *, bus=True, **web):
        self.tmp, self._with_bus, self._web = tmp, bus, web
        self.store = open_store(f"sqlite:///{tmp}/callguard.db", segments=tmp / "segments")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._up, self._thread = threading.Event(), None
        self.loop, self.bus, self.app = None, None, None

    def start(self):
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._up.wait(30), "the desk did not come up"
        return self

    async def _run(self):
        self.loop, self.over = asyncio.get_running_loop(), asyncio.Event()
        valkey = None
        if self._with_bus:
            folder = tempfile.mkdtemp(prefix="cgw")
            valkey = EmbeddedValkey(Path(folder))
            await valkey.start()
            self.bus = Bus(valkey.url)
        self.app = make_app(world.settings(self.tmp, **self._web), self.store, self.bus, argon=QUICK)
        serving = asyncio.create_task(serve(self.app, "127.0.0.1", self.port))
        async with httpx.AsyncClient() as client:
            async with asyncio.timeout(20):
                while True:
                    try:
                        await client.get(self.url + "/sign-in")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.05)
        self._up.set()
        await self.over.wait()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        if valkey:
            await self.bus.close()
            await valkey.stop()
            for _ in range(5):
                await asyncio.sleep(0)  # closed connections give their sockets back in the next rounds of the loop
            shutil.rmtree(folder, ignore_errors=True)

    def stop(self):
        self.loop.call_soon_threadsafe(self.over.set)
        self._thread.join(20)
        self.store.close()

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def tell(self, *events):
        async def publish():
            for event in events:
                await self.bus.publish(BOARD, world.as_json(event))

        self.run(publish())

    def rows(self):
        """The busy board, as of now."""
        rows = world.board_rows()
        rows[0] = rows[0].model_copy(update={"case": self.cases[0]})
        return rows

    @property
    def desk(self):
        return self.app.state.desk


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A desk with people, weeks of cases and a busy board."""
    made = House(tmp_path_factory.mktemp("desk")).start()
    world.add_people(made.desk.accounts)
    made.cases = world.add_cases(made.store, made.desk.reviews)
    rows = made.rows()
    made.tell(world.health(), *rows, *world.live_words(rows[0].call))
    yield made
    made.stop()


def signed_in(house, name, **more):
    """An HTTP client whom this person's password let in."""
    client = httpx.Client(base_url=house.url, follow_redirects=True, timeout=20, **more)
    page = client.get("/sign-in")
    form = page.text.split('name="form" value="')[1].split('"')[0]
    answer = client.post("/sign-in", data={"name": name, "password": world.PASSWORD, "form": form})
    assert answer.status_code == 200, answer.text[:500]
    return client


@pytest.fixture
def enter(house):
    """enter(name) -> signed-in client and its form secret."""
    clients = []

    def go(name):
        client = signed_in(house, name)
        clients.append(client)
        client.csrf = client.get("/account").text.split('name="csrf" content="')[1].split('"')[0]
        return client

    yield go
    for client in clients:
        client.close()
