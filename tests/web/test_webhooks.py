"""Webhooks: signed, tried again, sent once, and silent about the caller."""

import hashlib
import hmac
import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
import world

from callguard.bus.messages import CaseChanged
from callguard.model.errors import Refused
from callguard.store.desk_hooks import WAITS_S, Hooks
from callguard.store.opening import open_store
from callguard.web.webhooks import check_address


class Ear:
    """A program that is told. ``say``: the status it answers with, one after the other; then 204."""

    def __init__(self, *say):
        self.heard, self.say, self.arrived = [], list(say), threading.Semaphore(0)
        ear = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                ear.heard.append((dict(self.headers), body))
                self.send_response(ear.say.pop(0) if ear.say else 204)
                self.end_headers()
                ear.arrived.release()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/callguard"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def ear():
    made = Ear()
    yield made
    made.stop()


def test_a_flag_reaches_the_listener_once_and_signed(house, ear):
    hook = house.desk.hooks.add(ear.url, events=["flag", "case"], queues=["billing"], by="root")
    try:
        case = house.cases[0]
        change = CaseChanged(call="1764000000.1", at_ms=48000, case=case, status="opened")
        house.tell(change, change)
        assert ear.arrived.acquire(timeout=10)
        house.tell(change, CaseChanged(call="1764000000.1", at_ms=48000, case=case, status="finished"))
        assert ear.arrived.acquire(timeout=10)
        assert [json.loads(body)["event"] for _, body in ear.heard] == ["flag", "case"]
        headers, body = ear.heard[0]
        facts = json.loads(body)
        assert facts["case"] == case and facts["queue"] == "billing"
        assert b"+44" not in body and b"Field" not in body and b"break" not in body
        at, _, given = headers["callguard-signature"].partition(",v1=")
        expected = hmac.new(hook.secret.encode(), at.removeprefix("t=").encode() + b"." + body, hashlib.sha256)
        assert hmac.compare_digest(given, expected.hexdigest())
    finally:
        house.desk.hooks.remove(hook.id)


def test_a_queue_that_was_not_asked_for_is_not_told(house, ear):
    hook = house.desk.hooks.add(ear.url, events=["flag"], queues=["billing"], by="root")
    try:
        told = house.desk.hooks.queue("flag", queue="support", body="{}", mark="other")
        assert told == 0
    finally:
        house.desk.hooks.remove(hook.id)


class Clock:
    def __init__(self):
        self.at = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

    def __call__(self):
        return self.at


@pytest.fixture
def hooks(tmp_path):
    clock = Clock()
    store = open_store(f"sqlite:///{tmp_path}/h.db", segments=tmp_path / "segments", clock=clock)
    made = Hooks(store)
    made.clock = clock
    made.add("https://example.com/x", events=["verdict"], queues=None, by="root")
    yield made
    store.close()


def test_what_fails_is_tried_again_slower_and_then_given_up(hooks):
    hooks.queue("verdict", queue="q", body="{}", mark="m", after_s=12)
    assert hooks.due() == []
    hooks.clock.at += timedelta(seconds=12)
    tries = 0
    while True:
        due = hooks.due()
        if not due:
            (one,) = hooks.lately()
            if one.next_at is None:
                break
            hooks.clock.at = one.next_at
            continue
        assert hooks.due() == []
        tries += 1
        hooks.sent(due[0][0], ok=False, said="503")
    assert tries == len(WAITS_S) + 1 and hooks.lately()[0].last == "503"


def test_what_was_sent_is_not_sent_again(hooks):
    hooks.queue("verdict", queue="q", body="{}", mark="m")
    ((delivery, _),) = hooks.due()
    hooks.sent(delivery, ok=True, said="200")
    hooks.queue("verdict", queue="q", body="{}", mark="m")
    hooks.clock.at += timedelta(days=2)
    assert hooks.due() == [] and len(hooks.lately()) == 1


def test_a_verdict_taken_back_is_never_told(house, ear, enter):
    hook = house.desk.hooks.add(ear.url, events=["verdict"], queues=None, by="root")
    try:
        case = world.add_case(house.store, 961, at=datetime.now(UTC))
        client = enter("mori")
        data = {"csrf": client.csrf, "decision": "confirmed", "justified": "no", "acceptable": "no"}
        client.post(f"/cases/{case}/verdict", data=data)
        assert [one.event for one in house.desk.hooks.lately()][:1] == ["verdict"]
        client.post(f"/cases/{case}/undo", data={"csrf": client.csrf})
        assert [one for one in house.desk.hooks.lately() if case in one.body] == []
    finally:
        house.desk.hooks.remove(hook.id)


@pytest.mark.parametrize(
    "url", ["http://example.com", "ftp://example.com", "https://", "javascript:alert(1)", "", "file:///etc/passwd"]
)
def test_addresses_that_are_not_taken(url):
    with pytest.raises(Refused) as caught:
        check_address(url)
    assert caught.value.code == "url-wrong"


def test_the_page_shows_the_secret_once(house, enter, ear):
    client = enter("root")
    page = client.post("/admin/webhooks", data={"csrf": client.csrf, "url": ear.url, "events": ["flag"], "queues": "*"})
    (hook,) = [one for one in house.desk.hooks.all() if one.url == ear.url]
    assert hook.secret in page.text and hook.secret not in client.get("/admin").text
    client.post(f"/admin/webhooks/{hook.id}/end", data={"csrf": client.csrf})
    assert isinstance(client, httpx.Client) and ear.url not in [one.url for one in house.desk.hooks.all()]
