"""``/api/v1``: the same rights as the pages, as JSON, for programs with a token (``Authorization: Bearer cg_...``)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from callguard.access import Verb
from callguard.bus.messages import CallRow, OrderAnswer
from callguard.model.case import CaseStatus
from callguard.model.errors import Refused
from callguard.model.finding import Category
from callguard.store.reading import CaseFilter, CaseLine
from callguard.store.reviews import NOTHING_YET, Entry, Judgement, Opinion, Standing, Verdict
from callguard.web.board_pages import visible
from callguard.web.case_pages import noted, opened, scoped, thing_of
from callguard.web.desk import Desk, Visitor, desk_of, host_of, person_of
from callguard.web.doors import allow, can, log_refused
from callguard.web.orders import Wish, carry, check
from callguard.web.pages import masked
from callguard.web.sound import ranged
from callguard.web.story import Said, sounds_of, story_of
from callguard.web.webhooks import tell_later

_scheme = HTTPBearer(auto_error=False, description="A token made under Administration.")

NO_NUL = r"^[^\x00]*$"
CASE_ID = r"^\d{8}-[0-9A-HJKMNP-TV-Z]{6}$"


class Problem(BaseModel):
    """What went wrong, by a stable code."""

    code: str
    text: str = ""
    detail: list[dict[str, Any]] | None = None


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        401: "No token, or one that opens nothing.",
        403: "No right, or outside the scope.",
        404: "There is no such thing.",
        409: "Not possible now.",
        422: "The input is wrong.",
        503: "Store or bus is away.",
    }.items()
}


def caller(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)]) -> Visitor:
    """The token's owner, limited to the token's verbs. Raises Refused "token-wrong"."""
    desk = desk_of(request)
    found = desk.accounts.token(given.credentials) if given else None
    if found is None:
        log_refused(host_of(request, desk.settings.web.trusted_proxies), "token-wrong")
        raise Refused("this token opens nothing", code="token-wrong")
    account, token = found
    only = frozenset(verb for verb in Verb if verb.value in token.verbs)
    return Visitor(account=account, person=person_of(account, only=only), language="en", token=token)


Caller = Annotated[Visitor, Depends(caller)]
CaseKey = Annotated[str, Path(pattern=CASE_ID, examples=["20261125-0123AB"])]

router = APIRouter(prefix="/api/v1", tags=["callguard"], responses=_PROBLEMS)


class CaseOut(BaseModel):
    """One case of the list. caller_number is masked unless the token may see callers."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    call: str
    status: CaseStatus
    opened_at: datetime
    call_started_at: datetime
    ended_at: datetime | None
    queue: str
    language: str
    caller_number: str
    agent: str
    policy_name: str
    policy_hash: str
    flag_reason: str
    flagged_by: str
    flagged_ms: int
    withdrawn: bool
    severity: int
    rung: int
    warnings: int
    held: bool
    assigned: str
    kinds: list[str]


class CasesOut(BaseModel):
    """One page. after: ask with it for the next one, "" at the end."""

    cases: list[CaseOut]
    after: str


class VerdictOut(BaseModel):
    """What was judged."""

    model_config = ConfigDict(from_attributes=True)

    decision: str
    justified: str
    acceptable: str
    category: str
    severity: int
    decided_at: datetime | None
    decided_by: str
    second_decision: str


class LineOut(BaseModel):
    """One utterance."""

    at_ms: int
    end_ms: int
    role: str
    language: str
    text: str


class FindingOut(BaseModel):
    """What a rule found."""

    model_config = ConfigDict(from_attributes=True)

    at_ms: int
    end_ms: int
    rule: str
    category: str
    severity: int
    role: str
    words: str
    score: float
    why: str
    committed: bool


class SoundOut(BaseModel):
    """One file of sound."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    track: str
    start_ms: int
    end_ms: int
    repaired: bool


class WholeCaseOut(CaseOut):
    """One whole case. Words are there if the token may play."""

    verdict: VerdictOut
    transcript: list[LineOut]
    findings: list[FindingOut]
    sounds: list[SoundOut]


class VerdictIn(BaseModel):
    """A verdict to give."""

    decision: Verdict
    justified: Opinion
    acceptable: Opinion
    category: Category | Literal[""] = ""
    severity: int = Field(default=0, ge=0, le=3)
    words: str = Field(default="", max_length=4000, pattern=NO_NUL)
    remark: str = Field(default="", max_length=4000, pattern=NO_NUL)
    second: bool = False


class EntryOut(BaseModel):
    """Something that was written into a case."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: datetime
    by: str
    kind: str


class NoteIn(BaseModel):
    """A remark."""

    text: str = Field(min_length=1, max_length=4000, pattern=NO_NUL)


class OrderIn(BaseModel):
    """An order about a live call. started_at: of the call, so that a late order hits no other."""

    what: Literal[
        "flag", "warn", "handover", "end", "listen", "whisper", "barge", "take-over", "approve", "refuse", "rest-back"
    ]
    call: str = Field(min_length=1, max_length=150, pattern=NO_NUL)
    started_at: AwareDatetime
    request: str = Field(default="", max_length=200, pattern=NO_NUL)


class CallsOut(BaseModel):
    """The calls that are going on. silent: no daemon has been heard of lately."""

    calls: list[CallRow]
    silent: bool


class MeOut(BaseModel):
    """Whom the token stands for."""

    name: str
    roles: list[str]
    queues: list[str] | None
    teams: list[str] | None
    verbs: list[str]


@router.get("/me")
def me(request: Request, who: Caller) -> MeOut:
    """Whom this token stands for, and what it may do."""
    desk = desk_of(request)
    account = who.account
    return MeOut(
        name=account.name,
        roles=list(account.roles),
        queues=None if account.queues is None else list(account.queues),
        teams=None if account.teams is None else list(account.teams),
        verbs=[verb.value for verb in Verb if can(desk, who, verb)],
    )


@router.get("/cases")
def cases(
    request: Request,
    who: Caller,
    status: Annotated[CaseStatus | None, Query()] = None,
    queue: Annotated[str, Query(max_length=120, pattern=NO_NUL)] = "",
    kind: Annotated[Category | None, Query()] = None,
    since: Annotated[AwareDatetime | None, Query()] = None,
    until: Annotated[AwareDatetime | None, Query()] = None,
    words: Annotated[str, Query(max_length=200, pattern=NO_NUL)] = "",
    after: Annotated[str, Query(max_length=80, pattern=NO_NUL)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> CasesOut:
    """Cases, newest first."""
    desk = desk_of(request)
    allow(desk, who, Verb.SEE_CASES)
    if words:
        allow(desk, who, Verb.PLAY)
    wanted = CaseFilter(
        statuses=frozenset({status}) if status else frozenset(),
        queues=frozenset({queue}) if queue else None,
        kinds=frozenset({kind.value}) if kind else frozenset(),
        since=_within(since),
        until=_within(until),
        words=words,
    )
    page = desk.store.list_cases(scoped(desk, who, wanted), limit=limit, after=after)
    return CasesOut(cases=[_case(desk, who, line) for line in page.lines], after=page.after)


@router.get("/cases/{case}")
def case(request: Request, who: Caller, case: CaseKey) -> WholeCaseOut:
    """One whole case. Audited."""
    desk = desk_of(request)
    line = opened(desk, who, case)
    noted(desk, who, "read", line.id, anew_s=600)
    view = desk.store.case(line.id)
    assert view is not None
    story = story_of(view.records)
    hears = can(desk, who, Verb.PLAY, thing_of(desk, line))
    return WholeCaseOut(
        **_case(desk, who, line).model_dump(),
        verdict=_verdict(desk.reviews.standings([line.id]).get(line.id, NOTHING_YET)),
        transcript=[
            LineOut(at_ms=one.at_ms, end_ms=one.end_ms, role=one.role, language=one.language, text=one.text)
            for one in story.talk
            if isinstance(one, Said) and hears
        ],
        findings=[
            FindingOut.model_validate(one).model_copy(update={} if hears else {"words": ""}) for one in story.found
        ],
        sounds=[SoundOut.model_validate(one) for one in sounds_of(view.segments)] if hears else [],
    )


@router.get(
    "/cases/{case}/sound/{number}",
    response_class=Response,
    responses={
        200: {"content": {"audio/flac": {}}},
        206: {"content": {"audio/flac": {}}},
        416: {"description": "No such range."},
    },
)
def sound(request: Request, who: Caller, case: CaseKey, number: Annotated[int, Path(ge=0, le=1000)]) -> Response:
    """One file of sound. Audited."""
    desk = desk_of(request)
    line = opened(desk, who, case, Verb.PLAY)
    view = desk.store.case(line.id)
    assert view is not None
    if number >= len(view.segments):
        raise Refused("there is no such sound", code="no-such-sound")
    segment = view.segments[number]
    noted(desk, who, "play", line.id, anew_s=60, track=segment.track.value, number=number)
    return ranged(desk.store, segment, request.headers.get("range", ""))


@router.post("/cases/{case}/verdict", status_code=201)
def verdict(request: Request, who: Caller, case: CaseKey, given: VerdictIn) -> EntryOut:
    """Judge a case. Append-only; can be taken back for ten seconds at the desk."""
    desk = desk_of(request)
    line = opened(desk, who, case, Verb.SECOND if given.second else Verb.DECIDE)
    judgement = Judgement(
        verdict=given.decision,
        justified=given.justified,
        acceptable=given.acceptable,
        category=given.category or "",
        severity=given.severity,
        words=given.words,
        remark=given.remark,
    )
    entry = desk.reviews.judge(line.id, judgement, by=who.account.name, second=given.second)
    told = {"decision": given.decision.value, "category": judgement.category}
    tell_later(desk, "verdict", line, told, mark=f"{line.id}/{entry.id}")
    return _entry(entry)


@router.post("/cases/{case}/notes", status_code=201)
def note(request: Request, who: Caller, case: CaseKey, given: NoteIn) -> EntryOut:
    """Leave a remark in a case."""
    desk = desk_of(request)
    line = opened(desk, who, case, Verb.NOTE)
    return _entry(desk.reviews.note(line.id, given.text, by=who.account.name))


@router.get("/calls")
def calls(request: Request, who: Caller) -> CallsOut:
    """Live calls by need, as far as the scope reaches."""
    desk = desk_of(request)
    allow(desk, who, Verb.SEE_BOARD)
    seen = sorted(
        (one for one in list(desk.board.calls.values()) if visible(desk, who, one)), key=lambda one: one.needs()
    )
    rows = []
    for one in seen:
        knows = can(desk, who, Verb.SEE_CALLER, desk.thing(queue=one.row.queue, agent=one.row.agent))
        hidden = {} if knows else {"caller_number": masked(one.row.caller_number), "caller_name": ""}
        rows.append(one.row.model_copy(update=hidden))
    return CallsOut(calls=rows, silent=desk.board.unheard or desk.board.silent_since is not None)


@router.post("/orders")
async def orders(request: Request, who: Caller, given: OrderIn) -> OrderAnswer:
    """Order something about a live call: checked, audited, carried out by the daemon, answered."""
    desk = desk_of(request)
    wish = Wish(what=given.what, call=given.call, request=given.request)
    row = check(desk, who, wish)
    if abs((given.started_at - row.started_at).total_seconds()) > 1:
        raise Refused("another call has this place now", code="call-over")
    return await carry(desk, who, wish, row)


def _case(desk: Desk, who: Visitor, line: CaseLine) -> CaseOut:
    out = CaseOut.model_validate(line)
    knows = can(desk, who, Verb.SEE_CALLER, thing_of(desk, line))
    return out if knows else out.model_copy(update={"caller_number": masked(line.caller_number)})


def _verdict(standing: Standing) -> VerdictOut:
    return VerdictOut.model_validate(standing)


def _entry(entry: Entry) -> EntryOut:
    return EntryOut(id=entry.id, at=entry.at, by=entry.by, kind=entry.kind)


def _within(at: datetime | None) -> datetime | None:
    """Years that every database can hold."""
    if at is not None and not 1970 <= at.year <= 9000:
        raise Refused("this year is too far away", code="input-wrong")
    return at
