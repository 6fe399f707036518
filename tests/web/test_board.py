"""The live board: needs first, news within a second at 200 calls, orders with right and check."""

import asyncio
import json
import statistics
import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import world
from conftest import House

from callguard.bus.messages import CallRow, HealthTold, OrderAnswer, read_event
from callguard.bus.topics import ORDERS
from callguard.web.live import LINGER_S, SILENT_S, Board, take_text
from callguard.web.pages import masked


class Clock:
    def __init__(self):
        self.at = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


def test_needs_come_first(clock):
    board = Board(now=clock)
    rows = world.board_rows(clock.at)
    for row in reversed(rows):
        board.take(row)
    order = [call.row.agent_name for call in sorted(board.calls.values(), key=lambda call: call.needs())]
    assert order[:4] == ["Abe Mai", "Kato Yui", "田中 美咲", "Dana Novak"]


def test_an_ended_call_lingers_and_goes(clock):
    board = Board(now=clock)
    row = world.row(1, now=clock.at)
    board.take(row)
    board.take(row.model_copy(update={"ended": True}))
    board.sweep()
    assert board.calls
    clock.at += timedelta(seconds=LINGER_S + 1)
    board.sweep()
    assert not board.calls


def test_silence_is_noticed(clock):
    board = Board(now=clock)
    assert board.unheard and board.silent_since is None
    board.take(world.health(clock.at))
    assert board.silent_since is None
    clock.at += timedelta(seconds=SILENT_S + 1)
    assert board.silent_since == clock.at - timedelta(seconds=SILENT_S + 1)


def test_old_news_from_the_bus_is_not_taken_for_new(clock):
    board = Board(now=clock)
    board.take(world.health(clock.at - timedelta(minutes=5)))
    board.take(world.row(1, now=clock.at - timedelta(minutes=5)))
    assert board.silent_since is not None and board.stale(board.calls["1764500000.1"])


def test_after_a_silence_calls_that_ended_meanwhile_go(clock):
    board = Board(now=clock)
    board.take(world.health(clock.at))
    for number in (1, 2):
        board.take(world.row(number, now=clock.at))
    clock.at += timedelta(minutes=2)
    board.take(world.health(clock.at).model_copy(update={"calls": 1}))
    board.take(world.row(1, now=clock.at))
    board.sweep()
    assert len(board.calls) == 2
    clock.at += timedelta(seconds=31)
    board.sweep()
    assert list(board.calls) == ["1764500000.1"]


def test_what_cannot_be_read_is_counted(clock):
    board = Board(now=clock)
    for text in ("", "{}", "nonsense", '{"kind":"call"}', '{"kind":"later","x":1}'):
        take_text(board, {"json": text})
    take_text(board, {})
    assert board.unread == 6 and not board.calls


@pytest.mark.parametrize(("number", "shown"), [("", ""), ("123", "•••"), ("+441632960123", "••••••••23")])
def test_masked(number, shown):
    assert masked(number) == shown


def read_until(lines, wanted):
    """Board news from an event stream until ``wanted(news)``."""
    for line in lines:
        if line.startswith("data:"):
            news = json.loads(line[5:])
            if wanted(news):
                return news
    raise AssertionError("the stream ended")


def test_a_page_without_script_lists_calls_and_masks_by_right(house, enter):
    house.tell(world.health(datetime.now(UTC)))
    page = enter("mori").get("/board").text
    assert "Kato Yui" in page and "+441632960001" in page and 'name="what" value="listen"' in page
    only_admin = "board-only"
    house.desk.accounts.add(only_admin, world.PASSWORD, roles=["admin"])
    page = enter(only_admin).get("/board").text
    assert "Kato Yui" in page and "+441632960001" not in page and 'value="listen"' not in page


def test_the_board_keeps_to_the_scope(house, enter):
    page = enter("sato").get("/board").text
    assert "Kato Yui" in page and "Abe Mai" not in page and "support" not in page


def test_hostile_names_are_text(house, enter):
    bad = "<script>alert(1)</script>\"'"
    house.tell(world.row(77, agent_name=bad, caller_name=bad, last_words=bad, why=bad, queue="billing"))
    page = enter("mori").get("/board").text
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    house.tell(world.row(77, ended=True))


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A board with 200 calls, each changing about every second, and ten pages open."""
    made = House(tmp_path_factory.mktemp("busy")).start()
    world.add_people(made.desk.accounts)
    made.tell(world.health(), *(world.row(number) for number in range(200)))
    yield made
    made.stop()


def test_news_comes_within_a_second_at_200_calls(busy):
    from conftest import signed_in

    clients = [signed_in(busy, "mori") for _ in range(4)]
    over, took = threading.Event(), []

    def keep_busy():
        number = 0
        while not over.is_set():
            batch = [world.row(number % 200, last_words=f"word {number}"), world.row((number + 1) % 200, seconds=99)]
            busy.tell(*batch)
            number += 2
            over.wait(0.01)

    traffic = threading.Thread(target=keep_busy)
    streams = [client.stream("GET", "/board/events?since=0") for client in clients]
    opened = [stream.__enter__() for stream in streams]
    readers = [
        threading.Thread(target=lambda lines: [None for _ in lines], args=(one.iter_lines(),)) for one in opened[1:]
    ]
    traffic.start()
    for reader in readers:
        reader.start()
    lines = opened[0].iter_lines()
    read_until(lines, lambda news: "all" in news)
    try:
        for number in range(12):
            mark = f"the finding number {number} of this test"
            began = time.perf_counter()
            busy.tell(world.row(1000 + number, level=3, why=mark))
            read_until(lines, lambda news, mark=mark: any(mark in one["html"] for one in news["rows"]))
            took.append(time.perf_counter() - began)
    finally:
        over.set()
        traffic.join()
        busy.loop.call_soon_threadsafe(busy.desk.board.close)
        for reader in readers:
            reader.join()
        for stream in streams:
            stream.__exit__(None, None, None)
        for client in clients:
            client.close()
    print(
        json.dumps(
            {
                "figure": "board news at 200 calls",
                "median_ms": round(statistics.median(took) * 1000),
                "worst_ms": round(max(took) * 1000),
            }
        )
    )
    assert max(took) < 1.0


class Daemon:
    """Takes orders from the bus and answers as told."""

    def __init__(self, house, answer):
        self.house, self.answer, self.taken = house, answer, []

    async def run(self):
        async for message_id, fields in self.house.bus.take(ORDERS, consumer="test"):
            order = json.loads(fields["json"])
            self.taken.append(order)
            await self.house.bus.done(ORDERS, message_id)
            if self.answer is not None:
                await self.house.bus.answer(order["id"], json.loads(self.answer.model_dump_json()))


@pytest.fixture
def daemon(house):
    running = []

    def go(answer):
        made = Daemon(house, answer)
        running.append((made, asyncio.run_coroutine_threadsafe(made.run(), house.loop)))
        return made

    yield go
    for _, task in running:
        task.cancel()


def order(client, house, what, number=1, **more):
    row = house.desk.board.calls[f"1764500000.{number}"].row
    data = {"csrf": client.csrf, "what": what, "call": row.call, "started_at": row.started_at.isoformat()} | more
    return client.post("/board/orders", data=data, headers={"accept": "application/json"})


def test_an_order_is_audited_sent_and_answered(house, enter, daemon):
    told = daemon(OrderAnswer(done=True))
    client = enter("mori")
    answer = order(client, house, "listen")
    assert answer.status_code == 200 and answer.json()["done"]
    (sent,) = told.taken
    assert sent["what"] == "listen" and sent["by"] == "mori" and sent["supervisor"] == "PJSIP/900"
    assert datetime.fromisoformat(sent["expires_at"]) > datetime.now(UTC)
    lines = house.store.audit_lines(thing=sent["call"])
    assert [line.verb for line in lines][-2:] == ["order-listen", "order-listen-answer"]


def test_a_refusal_comes_in_words(house, enter, daemon):
    daemon(OrderAnswer(done=False, refusal="cooling-down"))
    answer = order(enter("mori"), house, "warn")
    assert answer.status_code == 409 and answer.json()["text"] == "The last warning is too recent."


def test_what_the_caller_hears_is_asked_once_more(house, enter, daemon):
    told = daemon(OrderAnswer(done=True))
    client = enter("mori")
    page = order(client, house, "barge")
    assert "The caller will hear you." in page.text and told.taken == []
    assert order(client, house, "barge", sure="yes").json()["done"]
    assert [one["what"] for one in told.taken] == ["barge"]


@pytest.mark.parametrize(
    ("name", "what", "number", "more", "code"),
    [
        ("otto", "listen", 1, {}, "no-right"),
        ("sato", "listen", 2, {}, "out-of-scope"),
        ("mori", "approve", 1, {"request": "nonsense"}, "request-over"),
        ("mori", "listen", 1, {"started_at": "2020-01-01T00:00:00+00:00"}, "call-over"),
        ("mori", "listen", 1, {"call": "nothing"}, "call-over"),
        ("mori", "dance", 1, {}, "order-unknown"),
        ("lee", "listen", 1, {}, "no-right"),
    ],
)
def test_orders_that_are_not_sent(house, enter, daemon, name, what, number, more, code):
    told = daemon(OrderAnswer(done=True))
    answer = order(enter(name), house, what, number, **more)
    assert answer.json()["code"] == code and told.taken == []


def test_an_approval_names_its_request(house, enter, daemon):
    told = daemon(OrderAnswer(done=True))
    assert order(enter("mori"), house, "approve", request="r1").json()["done"]
    assert told.taken[0]["request"] == "r1"


def test_a_plain_form_is_led_back_to_the_board(house, enter, daemon):
    daemon(OrderAnswer(done=True))
    client = enter("mori")
    row = house.desk.board.calls["1764500000.1"].row
    page = client.post("/board/orders", data={"csrf": client.csrf, "what": "flag", "call": row.call})
    assert page.url.path == "/board" and "Flagged. The evidence is being kept." in page.text


def test_a_stream_ends_with_its_sign_in(house, enter, monkeypatch):
    monkeypatch.setattr("callguard.web.board_pages.CHECK_SIGN_IN_S", 0.0)
    client = enter("mori")
    with client.stream("GET", "/board/events") as stream:
        lines = stream.iter_lines()
        read_until(lines, lambda news: "all" in news)
        for one in house.desk.accounts.sign_ins("mori"):
            house.desk.accounts.revoke(one.id, user="mori")
        house.tell(world.row(5))
        with pytest.raises((AssertionError, httpx.RemoteProtocolError)):
            read_until(lines, lambda news: False)


def test_messages_of_the_bus_are_what_the_board_reads():
    for event in (*world.board_rows(), *world.live_words("x"), world.health()):
        assert read_event(event.model_dump_json()) == event
    assert isinstance(read_event(world.health().model_dump_json()), HealthTold)
    assert isinstance(read_event(world.row(1).model_dump_json()), CallRow)
