"""The live board: a list of calls by need that also works as plain HTML, its stream of changes, and its orders."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup
from sse_starlette import EventSourceResponse, JSONServerSentEvent

from callguard.access import Verb
from callguard.model.errors import CallguardError, Refused
from callguard.web.desk import Desk, Visitor, desk_of
from callguard.web.doors import Reader, Writer, allow, can
from callguard.web.language import words_in
from callguard.web.live import LiveCall
from callguard.web.orders import SURE_FIRST, VERB_OF, Wish, carry, check
from callguard.web.pages import environment, render
from callguard.web.words import refusal_words

router = APIRouter(include_in_schema=False)

COALESCE_S = 0.2
CHECK_SIGN_IN_S = 20.0
_CACHE_SIZE = 3000

_rows: OrderedDict[tuple[Any, ...], str] = OrderedDict()


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What part of the board is wanted. need: smallest level shown."""

    queue: str = ""
    need: int = 0

    def shows(self, call: LiveCall) -> bool:
        """Whether this call belongs into the view. A call that asks for something always does."""
        row = call.row
        return (not self.queue or row.queue == self.queue) and (row.level >= self.need or call.asks or row.care)


def seen(desk: Desk, who: Visitor, view: View) -> list[LiveCall]:
    """The calls this visitor may see in this view, by need."""
    calls = [call for call in desk.board.calls.values() if visible(desk, who, call) and view.shows(call)]
    return sorted(calls, key=LiveCall.needs)


def visible(desk: Desk, who: Visitor, call: LiveCall) -> bool:
    """Whether the call is inside the visitor's scope."""
    return can(desk, who, Verb.SEE_BOARD, desk.thing(queue=call.row.queue, agent=call.row.agent))


@router.get("/board")
def board(
    request: Request,
    who: Reader,
    queue: Annotated[str, Query(max_length=120)] = "",
    need: Annotated[int, Query(ge=0, le=3)] = 0,
    wall: Annotated[bool, Query()] = False,
    said: Annotated[str, Query(max_length=60)] = "",
) -> HTMLResponse:
    """The page."""
    desk = desk_of(request)
    allow(desk, who, Verb.SEE_BOARD)
    desk.read_teams()
    view = View(queue=queue, need=need)
    calls = seen(desk, who, view)
    return render(
        request,
        "board.html",
        who,
        view=view,
        wall=wall,
        rows=[{"id": row_id(call), "html": row_html(desk, who, call, csrf=who.csrf)} for call in calls],
        queues=sorted({call.row.queue for call in desk.board.calls.values() if visible(desk, who, call)}),
        sums=sums(desk, who),
        tick=desk.board.tick,
        said=refusal_words(said, who.language) if said else "",
        now=datetime.now().astimezone(),
    )


@router.get("/board/events")
async def events(
    request: Request,
    who: Reader,
    queue: Annotated[str, Query(max_length=120)] = "",
    need: Annotated[int, Query(ge=0, le=3)] = 0,
    since: Annotated[int, Query(ge=0)] = 0,
) -> EventSourceResponse:
    """What changed, as it changes; at most five times a second."""
    desk = desk_of(request)
    allow(desk, who, Verb.SEE_BOARD)
    last = request.headers.get("last-event-id", "")
    start = int(last) if last.isdigit() and len(last) < 18 else since
    return EventSourceResponse(_stream(request, desk, who, View(queue=queue, need=need), start), ping=15)


async def _stream(
    request: Request, desk: Desk, who: Visitor, view: View, since: int
) -> AsyncIterator[JSONServerSentEvent]:
    board, loop = desk.board, asyncio.get_running_loop()
    checked = loop.time()
    with board.watching() as watcher:
        # a board that was restarted counts anew: then everything is news
        since = since if since <= board.tick else 0
        watcher.changed = {key for key, call in board.calls.items() if call.tick > since}
        first = True
        while not board.closing.is_set():
            if not first:
                with suppress(TimeoutError):
                    await asyncio.wait_for(watcher.wake.wait(), 5)
                await asyncio.sleep(COALESCE_S)
            watcher.wake.clear()
            changed, watcher.changed = watcher.changed, set()
            if loop.time() - checked > CHECK_SIGN_IN_S:
                checked = loop.time()
                if not await asyncio.to_thread(_still_signed_in, desk, who):
                    return
            data = await asyncio.to_thread(_news, desk, who, view, changed, everything=first)
            first = False
            yield JSONServerSentEvent(data, event="rows", id=str(board.tick))


def _still_signed_in(desk: Desk, who: Visitor) -> bool:
    return who.sign_in is not None and any(one.id == who.sign_in.id for one in desk.accounts.sign_ins(who.account.name))


def _news(desk: Desk, who: Visitor, view: View, changed: set[str], *, everything: bool) -> dict[str, Any]:
    """Rows to put in, ids to take out; ``all``: the ids there are, when the page must be made sure of."""
    rows, gone = [], []
    for key in changed - {""}:
        call = desk.board.calls.get(key)
        if call is not None and visible(desk, who, call) and view.shows(call):
            rows.append({"id": row_id(call), "need": _need(call), "html": row_html(desk, who, call)})
        else:
            gone.append(_id(key))
    news: dict[str, Any] = {"rows": rows, "gone": gone, "sums": sums_html(desk, who)}
    if everything:
        news["all"] = [row_id(call) for call in seen(desk, who, view)]
    return news


def row_id(call: LiveCall) -> str:
    """The row's id in the page."""
    return _id(call.row.call)


def _id(key: str) -> str:
    return "call-" + "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in key)


def _need(call: LiveCall) -> str:
    return "|".join(f"{part + 1000:04}" if isinstance(part, int) else f"{part:017.3f}" for part in call.needs())


def row_html(desk: Desk, who: Visitor, call: LiveCall, *, csrf: str = "") -> Markup:
    """One row, kept for all who read the same. csrf: for pages without script."""
    row = call.row
    thing = desk.thing(queue=row.queue, agent=row.agent)
    rights = frozenset(
        verb for verb in {*VERB_OF.values(), Verb.SEE_CALLER, Verb.SEE_CASES} if can(desk, who, verb, thing)
    )
    stale = desk.board.stale(call)
    key = (row.call, row.started_at, call.tick, who.language, rights, stale, csrf)
    known = _rows.get(key)
    if known is None:
        known = (
            environment()
            .get_template("call_row.html")
            .render(
                _=words_in(who.language),
                lang=who.language,
                row=row,
                call=call,
                id=row_id(call),
                need=_need(call),
                rights=rights,
                Verb=Verb,
                stale=stale,
                csrf=csrf,
                finding=call.findings[-1] if call.findings else None,
            )
        )
        _rows[key] = known
        while len(_rows) > _CACHE_SIZE:
            with suppress(KeyError):
                _rows.popitem(last=False)
    return Markup(known)  # noqa: S704 - our own template has escaped it


def sums(desk: Desk, who: Visitor) -> dict[str, Any]:
    """How many calls there are, and how well all of it works."""
    calls = [call for call in list(desk.board.calls.values()) if not call.row.ended and visible(desk, who, call)]
    board = desk.board
    health = board.health
    return {
        "calls": len(calls),
        "urgent": sum(call.row.level >= 2 or call.row.care for call in calls),
        "asks": sum(len(call.row.requests) for call in calls),
        "silent": board.silent_since,
        "never": board.unheard,
        "bus_up": board.bus_up and desk.bus is not None,
        "hearing": health.hearing if health else "",
        "faults": {part: word for part, word in health.parts.items() if word != "ok"} if health else {},
    }


def sums_html(desk: Desk, who: Visitor) -> str:
    """The line above the calls."""
    words = words_in(who.language)
    return environment().get_template("board_sums.html").render(_=words, lang=who.language, sums=sums(desk, who))


@router.get("/board/calls/{call}")
def one_call(request: Request, who: Reader, call: str) -> HTMLResponse:
    """One live call: what is said, what was found, what was decided."""
    desk = desk_of(request)
    allow(desk, who, Verb.SEE_BOARD)
    live = desk.board.calls.get(call)
    if live is None or not visible(desk, who, live):
        raise Refused("the call is over", code="call-over")
    lines = sorted(live.lines.values(), key=lambda line: line.start_ms)
    name = "call_now.html" if request.headers.get("hx-request") else "call.html"
    return render(
        request,
        name,
        who,
        live=live,
        row=live.row,
        lines=lines,
        html=row_html(desk, who, live, csrf=who.csrf),
        findings=list(live.findings)[::-1],
    )


@router.post("/board/orders")
async def order(
    request: Request,
    who: Writer,
    what: Annotated[str, Form(max_length=20)],
    call: Annotated[str, Form(max_length=150)],
    started_at: Annotated[str, Form(max_length=40)] = "",
    request_id: Annotated[str, Form(alias="request", max_length=200)] = "",
    sure: Annotated[str, Form(max_length=4)] = "",
) -> Response:
    """Do it, or say why not. A program in the page gets JSON, a plain form is led back to the board."""
    desk = desk_of(request)
    wish = Wish(what=what, call=call, started_at=started_at, request=request_id)
    wants_json = "application/json" in request.headers.get("accept", "")
    try:
        row = await asyncio.to_thread(check, desk, who, wish)
        if what in SURE_FIRST and not sure:
            return render(request, "sure.html", who, wish=wish, row=row)
        answer = await carry(desk, who, wish, row)
        code = "" if answer.done else (answer.refusal or "order-unanswered")
    except CallguardError as error:
        code = error.code
    text = refusal_words(code or f"done-{what}", who.language)
    if wants_json:
        body = json.dumps({"done": not code, "code": code, "text": text}, ensure_ascii=False)
        return Response(body, media_type="application/json", status_code=200 if not code else 409)
    return RedirectResponse(f"/board?said={code or f'done-{what}'}", status_code=303)
