"""Put the desk together and serve it, inside the daemon's event loop or alone.

``make_app`` builds it over a store and a bus; ``serve`` runs until cancelled. What fails here never reaches a call.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import mimetypes
from collections.abc import AsyncIterator, Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from callguard.model.errors import CallguardError, PeerFault, Refused
from callguard.store.accounts import Accounts
from callguard.store.desk_hooks import Hooks
from callguard.store.reviews import Reviews
from callguard.web import admin_pages, api, board_pages, case_pages, door_pages, report_pages
from callguard.web.desk import Desk, DeskSettings
from callguard.web.doors import Headers, SignInFirst, language_of, way_to_sign_in
from callguard.web.live import Board, follow, keep_tidy
from callguard.web.pages import STATIC, render
from callguard.web.webhooks import keep_sending, tell_case
from callguard.web.words import SAID, refusal_words

if TYPE_CHECKING:
    from callguard.bus.link import Bus
    from callguard.model.policy import Policy
    from callguard.store.store import Store

log = logging.getLogger("callguard.desk")

_STATUS = {
    "no-right": 403,
    "out-of-scope": 403,
    "not-oneself": 403,
    "form-forged": 403,
    "no-such-case": 404,
    "no-such-sound": 404,
    "no-account": 404,
    "call-over": 404,
    "token-wrong": 401,
}


def make_app(
    settings: DeskSettings,
    store: Store,
    bus: Bus | None,
    *,
    policy_of: Callable[[str], Policy | None] = lambda queue: None,
    argon: Any = None,
) -> FastAPI:
    """The desk as an ASGI application.

    policy_of: the policy in force for a queue, "" for the general one: who may listen, decide, export.
    argon: another password hasher, for tests.
    """
    board = Board()
    desk = Desk(
        settings=settings,
        store=store,
        bus=bus,
        accounts=Accounts(store.engine, argon=argon),
        reviews=Reviews(store),
        board=board,
        hooks=Hooks(store),
        policy_of=policy_of,
    )

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        work = [loop.create_task(keep_tidy(board), name="board-tidy"), loop.create_task(keep_sending(desk))]
        if bus is not None:
            work.append(loop.create_task(follow(board, bus, on_case=partial(tell_case, desk)), name="board-follow"))
        try:
            yield
        finally:
            board.close()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    app = FastAPI(
        title="callguard",
        version="1",
        summary="Cases, verdicts and live calls of callguard.",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.desk = desk
    app.add_middleware(Headers, secure=desk.secure)
    app.mount("/static", _Static(directory=STATIC), name="static")
    for room in (door_pages, board_pages, case_pages, report_pages, admin_pages, api):
        app.include_router(room.router)
    app.add_exception_handler(SignInFirst, _sign_in_first)
    app.add_exception_handler(CallguardError, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _wrong_input)
    return app


async def serve(app: FastAPI, host: str, port: int) -> None:
    """Serve until cancelled, then let open pages go. Signals stay with whoever runs the loop."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    server = _Server(config)
    task = asyncio.get_running_loop().create_task(server.serve(), name="desk-server")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        app.state.desk.board.close()
        server.should_exit = True
        await task
        raise
    except SystemExit as error:
        raise Refused(
            "the desk cannot listen at its address",
            code="desk-address-taken",
            hint="change web.port, or see who has it",
        ) from error


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


class _Static(StaticFiles):
    """Files of ours: named with their hash, so browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer


mimetypes.add_type("text/javascript", ".js")


def _wants_json(request: Request) -> bool:
    return request.url.path.startswith("/api/") or "application/json" in request.headers.get("accept", "")


async def _sign_in_first(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignInFirst)
    if request.headers.get("hx-request"):
        return Response(status_code=200, headers={"HX-Redirect": way_to_sign_in("/")})
    if _wants_json(request) or "text/event-stream" in request.headers.get("accept", ""):
        return _json(401, "sign-in-first")
    return RedirectResponse(way_to_sign_in(error.after), status_code=303)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, CallguardError)
    status = _STATUS.get(error.code, 503 if isinstance(error, PeerFault) else 409)
    if isinstance(error, PeerFault):
        log.error("a page of the desk failed", extra={"code": error.code})
    return _told(request, status, error.code, refusal_words(error.code, language_of(request)))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "not-found" if error.status_code == 404 else HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    answer = _told(request, error.status_code, code, refusal_words(code, language_of(request)))
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _wrong_input(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if request.url.path.startswith("/api/"):
        faults = [{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in error.errors()]
        return _json(422, "input-wrong", detail=faults)
    return _told(request, 422, "input-wrong", refusal_words("input-wrong", language_of(request)))


def _told(request: Request, status: int, code: str, text: str) -> Response:
    if _wants_json(request):
        return _json(status, code, text=text if code in SAID else "")
    if request.headers.get("hx-request"):
        # shown where the page keeps its messages; nothing else of the page changes
        body = json.dumps({"told": {"text": text, "bad": True}})
        return Response(status_code=204, headers={"HX-Trigger": body.encode("ascii").decode()})
    return render(request, "told.html", None, status=status, language=language_of(request), text=text, code=code)


def _json(status: int, code: str, **more: Any) -> Response:
    body = json.dumps({"code": code, **more}, ensure_ascii=False)
    return Response(body, status_code=status, media_type="application/json")
