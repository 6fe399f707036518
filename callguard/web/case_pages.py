"""Cases: the list with its filters in the address, one case with everything that judges it, and what people do to it.

Whoever reads, plays, exports or decides is written down before they get it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from callguard.access import Role, Thing, Verb
from callguard.model.case import CaseStatus
from callguard.model.errors import Refused, StoreFault
from callguard.model.finding import Category
from callguard.model.ids import CaseId
from callguard.store.masking import Way
from callguard.store.reading import CaseFilter, CaseLine
from callguard.store.reviews import (
    NOTHING_YET,
    UNDO,
    Entry,
    Judgement,
    MeasureKind,
    Opinion,
    Standing,
    Verdict,
    standing_verdicts,
)
from callguard.web.desk import Desk, Visitor, desk_of
from callguard.web.doors import Reader, Writer, allow, can
from callguard.web.pages import render
from callguard.web.sound import peaks_of, ranged
from callguard.web.story import sounds_of, story_of
from callguard.web.webhooks import tell_later, untell
from callguard.web.words import refusal_words

router = APIRouter(include_in_schema=False)

PAGE = 50
READ_ANEW_S = 600
PLAYED_ANEW_S = 60
NOBODY = "\0nobody"
"""Stands for an empty choice of agents: an empty set would mean all of them."""

OPEN = frozenset({CaseStatus.NEW, CaseStatus.IN_REVIEW})

_lately: dict[tuple[str, str, str], datetime] = {}

Tab = Literal["open", "mine", "second", "care", "all"]


class Wanted:
    """The filters of the list, as they stand in its address."""

    def __init__(
        self,
        tab: Annotated[Tab, Query()] = "open",
        words: Annotated[str, Query(max_length=200)] = "",
        queue: Annotated[str, Query(max_length=120)] = "",
        kind: Annotated[str, Query(max_length=40)] = "",
        by: Annotated[str, Query(max_length=20)] = "",
        agent: Annotated[str, Query(max_length=120)] = "",
        severity: Annotated[str, Query(max_length=1)] = "",
        language: Annotated[str, Query(max_length=8)] = "",
        status: Annotated[str, Query(max_length=20)] = "",
        since: Annotated[str, Query(max_length=10)] = "",
        until: Annotated[str, Query(max_length=10)] = "",
        held: Annotated[bool, Query()] = False,
        after: Annotated[str, Query(max_length=80)] = "",
    ) -> None:
        self.tab, self.words, self.queue, self.kind, self.by = tab, words.strip(), queue, kind, by
        self.agent, self.language, self.status, self.held, self.after = agent, language, status, held, after
        self.severity = int(severity) if severity.isdigit() else 0
        self.since, self.until = _day(since), _day(until)

    def address(self, **changes: object) -> str:
        """The list's address with these changes."""
        values: dict[str, object] = {
            "tab": self.tab,
            "words": self.words,
            "queue": self.queue,
            "kind": self.kind,
            "by": self.by,
            "agent": self.agent,
            "severity": self.severity or "",
            "language": self.language,
            "status": self.status,
            "since": self.since or "",
            "until": self.until or "",
            "held": "true" if self.held else "",
        }
        values.update(changes)
        return "/cases?" + urlencode({key: value for key, value in values.items() if value})

    @property
    def narrowed(self) -> bool:
        """Whether anything but the tab is chosen."""
        return any(
            (
                self.words,
                self.queue,
                self.kind,
                self.by,
                self.agent,
                self.severity,
                self.language,
                self.status,
                self.since,
                self.until,
                self.held,
            )
        )

    def filter(self, who: Visitor) -> CaseFilter:
        """As the store wants it; the visitor's scope comes after."""
        statuses: frozenset[CaseStatus] = frozenset()
        if self.status in {one.value for one in CaseStatus}:
            statuses = frozenset({CaseStatus(self.status)})
        elif self.tab in ("open", "mine"):
            statuses = OPEN
        return CaseFilter(
            statuses=statuses,
            queues=frozenset({self.queue}) if self.queue else None,
            agents=frozenset({self.agent}) if self.agent else frozenset(),
            kinds=frozenset({self.kind}) if self.kind else frozenset(),
            languages=frozenset({self.language}) if self.language else frozenset(),
            flagged_by=frozenset({self.by}) if self.by else frozenset(),
            since=_midnight(self.since),
            until=_midnight(self.until + timedelta(days=1)) if self.until else None,
            severity=self.severity,
            held=True if self.held else None,
            assigned=who.account.name if self.tab == "mine" else None,
            words=self.words,
        )


def scoped(desk: Desk, who: Visitor, wanted: CaseFilter) -> CaseFilter:
    """The filter, narrowed to what the visitor's rights reach."""
    seeing = {role for role in who.person.roles if Verb.SEE_CASES in desk.rights("")[role]}
    if seeing <= {Role.AGENT}:
        own = who.person.agent or NOBODY
        return replace(wanted, agents=frozenset({own if wanted.agents <= {own} else NOBODY}))
    queues, teams = who.person.scope.queues, who.person.scope.teams
    if queues is not None:
        wanted = replace(wanted, queues=queues if wanted.queues is None else queues & wanted.queues)
    if teams is not None:
        members = {one.agent for one in desk.accounts.all() if one.agent and teams & set(one.teams or ())}
        chosen = members & wanted.agents if wanted.agents else members
        wanted = replace(wanted, agents=frozenset(chosen or {NOBODY}))
    return wanted


@router.get("/cases")
def case_list(request: Request, who: Reader, wanted: Annotated[Wanted, Depends()]) -> HTMLResponse:
    """The list."""
    desk = desk_of(request)
    allow(desk, who, Verb.SEE_CASES)
    desk.read_teams()
    lines, after = _lines(desk, who, wanted)
    within = scoped(desk, who, wanted.filter(who))
    hits: dict[str, Any] = {}
    if wanted.words and can(desk, who, Verb.PLAY):
        for hit in desk.store.search(wanted.words, within, limit=200):
            hits.setdefault(hit.case, hit)
    facts: dict[str, Any] = {
        "wanted": wanted,
        "lines": lines,
        "after": after,
        "hits": hits,
        "standings": desk.reviews.standings(line.id for line in lines),
        "names": {one.name: one.display for one in desk.accounts.all()},
    }
    if request.headers.get("hx-request") and request.headers.get("hx-target", "").endswith("found"):
        return render(request, "cases_found.html", who, **facts)
    return render(
        request,
        "cases.html",
        who,
        kinds=[kind.value for kind in Category if not kind.is_care],
        statuses=[status.value for status in CaseStatus],
        queues=sorted(within.queues) if within.queues is not None and len(within.queues) < 50 else [],
        second_waiting=len(desk.reviews.waiting(second_of=who.account.name)),
        **facts,
    )


def _lines(desk: Desk, who: Visitor, wanted: Wanted) -> tuple[list[CaseLine], str]:
    if wanted.tab in ("second", "care"):
        ids = desk.reviews.waiting(second_of=who.account.name, care=wanted.tab == "care")
        found = [desk.store.case_line(one) for one in ids]
        lines = [one for one in found if one is not None and can(desk, who, Verb.SEE_CASES, thing_of(desk, one))]
        return lines, ""
    page = desk.store.list_cases(scoped(desk, who, wanted.filter(who)), limit=PAGE, after=wanted.after)
    return list(page.lines), page.after


def thing_of(desk: Desk, line: CaseLine, written: tuple[Entry, ...] = ()) -> Thing:
    """The case as ``access`` sees it."""
    judged = frozenset(one.by for one in standing_verdicts(written) if one.kind == "verdict")
    return desk.thing(queue=line.queue, agent=line.agent, judged_by=judged)


def opened(desk: Desk, who: Visitor, case: str, verb: Verb = Verb.SEE_CASES) -> CaseLine:
    """The case's line, if it is there and the visitor may. Raises StoreFault, Refused."""
    line = desk.store.case_line(CaseId(case))
    if line is None:
        raise StoreFault("there is no such case", code="no-such-case")
    allow(desk, who, Verb.SEE_CASES, thing_of(desk, line))
    written = desk.reviews.entries(line.id) if verb is Verb.SECOND else ()
    allow(desk, who, verb, thing_of(desk, line, written))
    return line


def noted(desk: Desk, who: Visitor, verb: str, case: str, *, anew_s: int, **data: object) -> None:
    """Audit this, unless the same person did the same lately."""
    key = (who.sign_in.id if who.sign_in else who.name, verb, f"{case}{sorted(data.items())}")
    now = datetime.now(UTC)
    if key in _lately and (now - _lately[key]).total_seconds() < anew_s:
        return
    desk.audit(who.name, verb, case, **data)
    _lately[key] = now
    while len(_lately) > 5000:
        _lately.pop(next(iter(_lately)), None)


@router.get("/cases/{case}")
def case_page(
    request: Request, who: Reader, case: str, said: Annotated[str, Query(max_length=60)] = ""
) -> HTMLResponse:
    """One case."""
    desk = desk_of(request)
    desk.read_teams()
    line = opened(desk, who, case)
    noted(desk, who, "read", line.id, anew_s=READ_ANEW_S)
    view = desk.store.case(line.id)
    assert view is not None
    story = story_of(view.records)
    hears = can(desk, who, Verb.PLAY, thing_of(desk, line))
    sounds = sounds_of(view.segments)
    return render(
        request,
        "case.html",
        who,
        hears=hears,
        knows=can(desk, who, Verb.SEE_CALLER, thing_of(desk, line)),
        story=story,
        sounds=sounds,
        player=json.dumps([{"n": one.number, "t": one.track, "s": one.start_ms, "e": one.end_ms} for one in sounds]),
        marks=json.dumps(story.marks),
        heard_by=[one for one in desk.store.audit_lines(thing=line.id) if one.verb in ("play", "exported", "read")],
        earlier=_of_caller(desk, who, line),
        measures=desk.reviews.measures_of(line.caller_mark),
        next_case=_next(desk, who, line),
        said=refusal_words(said, who.language) if said else "",
        **_judging(desk, who, line),
    )


def _judging(desk: Desk, who: Visitor, line: CaseLine) -> dict[str, Any]:
    """What the right-hand side shows, and shows anew after each change."""
    written = desk.reviews.entries(line.id)
    thing = thing_of(desk, line, written)
    verdicts = standing_verdicts(written)
    mine = next((one for one in reversed(verdicts) if one.by == who.account.name), None)
    left = int((UNDO - (datetime.now(UTC) - mine.at)).total_seconds()) if mine else 0
    people = [one for one in desk.accounts.all() if not one.disabled and {"reviewer", "supervisor"} & set(one.roles)]
    return {
        "line": line,
        "standing": desk.reviews.standing(line.id),
        "entries": written[::-1],
        "standing_ids": {one.id for one in verdicts},
        "undo_left": max(0, left),
        "thing": thing,
        "holds": desk.store.holds(line.id)[::-1],
        "people": people,
        "reviewers": [one for one in people if "reviewer" in one.roles and one.name != who.account.name],
        "names": {one.name: one.display for one in desk.accounts.all()},
        "kinds": [kind.value for kind in Category if not kind.is_care],
        "measure_kinds": [kind.value for kind in MeasureKind],
    }


def _of_caller(desk: Desk, who: Visitor, line: CaseLine) -> list[tuple[CaseLine, Standing]]:
    """Other cases of the same number, as far as the visitor's scope reaches."""
    if not line.caller_mark:
        return []
    page = desk.store.list_cases(scoped(desk, who, CaseFilter(caller_mark=line.caller_mark)), limit=11)
    others = [one for one in page.lines if one.id != line.id]
    standings = desk.reviews.standings(one.id for one in others)
    return [(one, standings.get(one.id, NOTHING_YET)) for one in others]


def _next(desk: Desk, who: Visitor, line: CaseLine) -> str:
    """The next open case, older than this one."""
    after = f"{line.opened_at.isoformat()}|{line.id}"
    page = desk.store.list_cases(scoped(desk, who, CaseFilter(statuses=OPEN)), limit=1, after=after)
    return page.lines[0].id if page.lines else ""


# sound


def _segment(desk: Desk, who: Visitor, case: str, number: int) -> tuple[CaseLine, Any]:
    line = opened(desk, who, case, Verb.PLAY)
    view = desk.store.case(line.id)
    assert view is not None
    if not 0 <= number < len(view.segments):
        raise StoreFault("there is no such sound", code="no-such-sound")
    return line, view.segments[number]


@router.get("/cases/{case}/sound/{number}")
def sound(request: Request, who: Reader, case: str, number: int) -> Response:
    """One file of sound. Audited each time, save for the many small requests of one playing."""
    desk = desk_of(request)
    line, segment = _segment(desk, who, case, number)
    noted(desk, who, "play", line.id, anew_s=PLAYED_ANEW_S, track=segment.track.value, number=number)
    return ranged(desk.store, segment, request.headers.get("range", ""))


@router.get("/cases/{case}/peaks/{number}")
def peaks(request: Request, who: Reader, case: str, number: int) -> Response:
    """How loud it is where: what the wave is drawn from."""
    desk = desk_of(request)
    _, segment = _segment(desk, who, case, number)
    body = json.dumps({"peaks": peaks_of(desk.store, segment)}, separators=(",", ":"))
    return Response(body, media_type="application/json", headers={"cache-control": "private, max-age=3600"})


# what people do


def _done(request: Request, who: Visitor, case: str, *, said: str = "saved", undo: bool = False) -> Response:
    """The page's side anew for htmx; a way back for a plain form."""
    if request.headers.get("hx-request"):
        desk = desk_of(request)
        line = opened(desk, who, case)
        told = {"told": {"text": refusal_words(said, who.language), "bad": False}}
        page = render(request, "case_side.html", who, **_judging(desk, who, line))
        if not undo:
            page.headers["HX-Trigger"] = json.dumps(told)
        return page
    return RedirectResponse(f"/cases/{case}?said={said}", status_code=303)


@router.post("/cases/{case}/verdict")
def verdict(
    request: Request,
    who: Writer,
    case: str,
    decision: Annotated[Verdict, Form()],
    justified: Annotated[Opinion, Form()],
    acceptable: Annotated[Opinion, Form()],
    category: Annotated[str, Form(max_length=40)] = "",
    severity: Annotated[int, Form(ge=0, le=3)] = 0,
    words: Annotated[str, Form(max_length=4000)] = "",
    remark: Annotated[str, Form(max_length=4000)] = "",
    second: Annotated[str, Form(max_length=4)] = "",
) -> Response:
    """Judge. Told to others after the ten seconds in which it can be taken back."""
    desk = desk_of(request)
    line = opened(desk, who, case, Verb.SECOND if second else Verb.DECIDE)
    if category and category not in {kind.value for kind in Category if not kind.is_care}:
        raise Refused("there is no such kind", code="input-wrong")
    given = Judgement(
        verdict=decision,
        justified=justified,
        acceptable=acceptable,
        category=category,
        severity=severity,
        words=words,
        remark=remark,
    )
    entry = desk.reviews.judge(line.id, given, by=who.account.name, second=bool(second))
    tell_later(desk, "verdict", line, {"decision": decision.value, "category": category}, mark=f"{line.id}/{entry.id}")
    return _done(request, who, case, undo=True)


@router.post("/cases/{case}/undo")
def undo(request: Request, who: Writer, case: str) -> Response:
    """Take one's verdict back."""
    desk = desk_of(request)
    line = opened(desk, who, case)
    entry = desk.reviews.undo(line.id, by=who.account.name)
    untell(desk, f"{line.id}/{entry.data['of']}")
    return _done(request, who, case)


Act = Callable[[Desk, Visitor, CaseLine], None]


def _acted(request: Request, who: Visitor, case: str, verb: Verb, act: Act, *, said: str = "saved") -> Response:
    desk = desk_of(request)
    act(desk, who, opened(desk, who, case, verb))
    return _done(request, who, case, said=said)


@router.post("/cases/{case}/note")
def note(
    request: Request, who: Writer, case: str, text: Annotated[str, Form(min_length=1, max_length=4000)]
) -> Response:
    """Leave a remark."""
    return _acted(
        request,
        who,
        case,
        Verb.NOTE,
        lambda desk, _, line: _ignore(desk.reviews.note(line.id, text, by=_.account.name)),
    )


@router.post("/cases/{case}/assign")
def assign(request: Request, who: Writer, case: str, to: Annotated[str, Form(max_length=64)] = "") -> Response:
    """Give it to somebody."""
    desk = desk_of(request)
    if to and desk.accounts.get(to) is None:
        raise Refused("there is no such account", code="no-account")
    return _acted(
        request,
        who,
        case,
        Verb.ASSIGN,
        lambda desk, _, line: _ignore(desk.reviews.assign(line.id, to=to, by=_.account.name)),
    )


@router.post("/cases/{case}/second")
def ask_second(request: Request, who: Writer, case: str, of: Annotated[str, Form(max_length=64)]) -> Response:
    """Ask somebody for a second opinion."""
    desk = desk_of(request)
    if desk.accounts.get(of) is None:
        raise Refused("there is no such account", code="no-account")
    return _acted(
        request,
        who,
        case,
        Verb.DECIDE,
        lambda desk, _, line: _ignore(desk.reviews.ask_second(line.id, of=of, by=_.account.name)),
    )


@router.post("/cases/{case}/care")
def care(
    request: Request,
    who: Writer,
    case: str,
    contacted: Annotated[str, Form(max_length=4)] = "",
    rested: Annotated[str, Form(max_length=4)] = "",
    no_detriment: Annotated[str, Form(max_length=4)] = "",
    finished: Annotated[str, Form(max_length=4)] = "",
    text: Annotated[str, Form(max_length=4000)] = "",
    due: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Follow-up with the agent."""
    facts = {"contacted": bool(contacted), "rested": bool(rested), "no_detriment": bool(no_detriment), "text": text}
    when = _midnight(_day(due))
    return _acted(
        request,
        who,
        case,
        Verb.CARE,
        lambda desk, _, line: _ignore(
            desk.reviews.care(line.id, by=_.account.name, facts=facts, finished=bool(finished), due=when)
        ),
    )


@router.post("/cases/{case}/told")
def told(
    request: Request, who: Writer, case: str, text: Annotated[str, Form(min_length=1, max_length=4000)]
) -> Response:
    """What the caller was told."""
    return _acted(
        request,
        who,
        case,
        Verb.DECIDE,
        lambda desk, _, line: _ignore(desk.reviews.told(line.id, by=_.account.name, text=text)),
    )


@router.post("/cases/{case}/training")
def training(request: Request, who: Writer, case: str, on: Annotated[str, Form(max_length=4)] = "") -> Response:
    """Fit for training, or not."""
    return _acted(
        request,
        who,
        case,
        Verb.DECIDE,
        lambda desk, _, line: _ignore(desk.reviews.use_for_training(line.id, by=_.account.name, on=bool(on))),
    )


@router.post("/cases/{case}/close")
def close(request: Request, who: Writer, case: str) -> Response:
    """Nothing more to do."""
    return _acted(
        request, who, case, Verb.DECIDE, lambda desk, _, line: _ignore(desk.reviews.close(line.id, by=_.account.name))
    )


@router.post("/cases/{case}/hold")
def place_hold(
    request: Request, who: Writer, case: str, reason: Annotated[str, Form(min_length=1, max_length=1000)]
) -> Response:
    """Keep it from being deleted."""
    return _acted(
        request,
        who,
        case,
        Verb.HOLD,
        lambda desk, _, line: desk.store.hold(line.id, reason=reason, who=_.account.name),
    )


@router.post("/cases/{case}/release")
def release_hold(request: Request, who: Writer, case: str) -> Response:
    """Ask for the hold's release, or agree to it."""
    desk = desk_of(request)
    line = opened(desk, who, case, Verb.RELEASE)
    free = desk.store.release(line.id, who=who.account.name)
    return _done(request, who, case, said="saved" if free else "hold-needs-two")


@router.post("/cases/{case}/measure")
def add_measure(
    request: Request,
    who: Writer,
    case: str,
    what: Annotated[MeasureKind, Form()],
    reason: Annotated[str, Form(min_length=1, max_length=2000)],
    expires: Annotated[str, Form(max_length=10)],
    review: Annotated[str, Form(max_length=10)],
) -> Response:
    """Lay something down about the caller, with an end."""
    ends, looks = _midnight(_day(expires)), _midnight(_day(review))
    if ends is None or looks is None:
        raise Refused("two days are needed", code="expiry-first")
    return _acted(
        request,
        who,
        case,
        Verb.MEASURE,
        lambda desk, _, line: _ignore(
            desk.reviews.add_measure(
                line.id, what=what, reason=reason, by=_.account.name, expires_at=ends, review_at=looks
            )
        ),
    )


@router.post("/cases/{case}/measures/{measure}/{act}")
def change_measure(
    request: Request,
    who: Writer,
    case: str,
    measure: str,
    act: Literal["appeal", "lift"],
    text: Annotated[str, Form(min_length=1, max_length=2000)],
) -> Response:
    """The caller objected, or the measure ends early."""

    def change(desk: Desk, who: Visitor, line: CaseLine) -> None:
        if measure not in {one.id for one in desk.reviews.measures_of(line.caller_mark)}:
            raise Refused("there is no such measure", code="not-found")
        if act == "appeal":
            desk.reviews.appeal(measure, by=who.account.name, text=text)
        else:
            desk.reviews.lift(measure, by=who.account.name, reason=text)

    return _acted(request, who, case, Verb.MEASURE, change)


@router.post("/cases/{case}/export")
def export(request: Request, who: Writer, case: str, way: Annotated[Way, Form()] = Way.ORIGINAL) -> Response:
    """The signed bundle: as it is, masked for others, or for the caller's own access. The store audits it."""
    desk = desk_of(request)
    line = opened(desk, who, case, Verb.EXPORT)
    body = desk.store.export(line.id, who=who.name, way=way)
    name = line.id if way is Way.ORIGINAL else f"{line.id}-{way.value}"
    return Response(
        body, media_type="application/zip", headers={"content-disposition": f'attachment; filename="{name}.zip"'}
    )


def _ignore(entry: object) -> None:
    """The entry shows on the page by itself."""


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _midnight(day: date | None) -> datetime | None:
    """The day's beginning in this machine's zone, as aware UTC."""
    if day is None:
        return None
    try:
        return datetime.combine(day, time()).astimezone().astimezone(UTC)
    except (OverflowError, ValueError, OSError):
        return None
