"""Reports and the proof of measures: figures for people who answer for the house. Never a ranking of agents."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from callguard.access import Verb
from callguard.model.errors import Refused
from callguard.store.desk_figures import Figures, Group, figures, policies_used
from callguard.web.desk import Desk, Visitor, desk_of
from callguard.web.doors import Reader, Writer, allow
from callguard.web.language import words_in
from callguard.web.pages import common, environment, render
from callguard.web.words import kind_words, refusal_words, word

router = APIRouter(include_in_schema=False)

LONGEST = timedelta(days=366 * 2)

Day = Annotated[str, Query(max_length=10)]


@router.get("/reports")
def reports(request: Request, who: Reader, since: Day = "", until: Day = "") -> HTMLResponse:
    """The page."""
    desk = desk_of(request)
    return render(request, "reports.html", who, **_facts(desk, who, since, until))


@router.get("/reports.csv")
def reports_csv(request: Request, who: Reader, since: Day = "", until: Day = "") -> Response:
    """All tables in one file, for spreadsheets."""
    desk = desk_of(request)
    made = _facts(desk, who, since, until)
    desk.audit(who.name, "report-export", "reports", format="csv")
    body = csv_of(made["figures"], who.language)
    name = f"callguard-{made['since']}-{made['until']}.csv"
    return Response(
        "\ufeff" + body,
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


@router.get("/reports.pdf")
def reports_pdf(request: Request, who: Reader, since: Day = "", until: Day = "") -> Response:
    """The page, printed."""
    desk = desk_of(request)
    made = _facts(desk, who, since, until)
    desk.audit(who.name, "report-export", "reports", format="pdf")
    return _pdf(request, desk, who, "reports_print.html", made, f"callguard-{made['since']}-{made['until']}.pdf")


@router.get("/proof")
def proof(
    request: Request, who: Reader, since: Day = "", until: Day = "", said: Annotated[str, Query(max_length=60)] = ""
) -> HTMLResponse:
    """What the house has done, with dates: policy versions, trainings, cases and answers."""
    desk = desk_of(request)
    facts = _proof(desk, who, since, until)
    return render(request, "proof.html", who, said=refusal_words(said, who.language) if said else "", **facts)


@router.get("/proof.pdf")
def proof_pdf(request: Request, who: Reader, since: Day = "", until: Day = "") -> Response:
    """The proof, printed."""
    desk = desk_of(request)
    facts = _proof(desk, who, since, until)
    desk.audit(who.name, "report-export", "proof", format="pdf")
    return _pdf(request, desk, who, "proof_print.html", facts, f"callguard-proof-{facts['until']}.pdf")


@router.post("/proof/trainings")
def add_training(
    request: Request,
    who: Writer,
    title: Annotated[str, Form(min_length=1, max_length=300)],
    held_on: Annotated[date, Form()],
    people: Annotated[int, Form(ge=1, le=100000)],
) -> Response:
    """Note a training that was held."""
    desk = desk_of(request)
    allow(desk, who, Verb.PROOF)
    at = datetime.combine(held_on, time(12)).astimezone().astimezone(UTC)
    desk.reviews.add_training(held_on=at, title=title, people=people, by=who.account.name)
    return RedirectResponse("/proof?said=saved", status_code=303)


def _facts(desk: Desk, who: Visitor, since: str, until: str) -> dict[str, Any]:
    allow(desk, who, Verb.REPORTS)
    first, last = _span(since, until, weeks=12)
    made = figures(
        desk.store, since=_begin(first), until=_begin(last + timedelta(days=1)), queues=who.person.scope.queues
    )
    return {"figures": made, "since": first, "until": last, "today": datetime.now().astimezone()}


def _proof(desk: Desk, who: Visitor, since: str, until: str) -> dict[str, Any]:
    allow(desk, who, Verb.PROOF)
    first, last = _span(since, until, weeks=52)
    begin, end = _begin(first), _begin(last + timedelta(days=1))
    made = figures(desk.store, since=begin, until=end, queues=who.person.scope.queues)
    return {
        "figures": made,
        "policies": policies_used(desk.store, since=begin, until=end),
        "trainings": [one for one in desk.reviews.all_trainings() if begin <= one.held_on < end],
        "chain_break": desk.store.audit_break(),
        "since": first,
        "until": last,
        "today": datetime.now().astimezone(),
    }


def csv_of(made: Figures, language: str) -> str:
    """Every table of the report as lines: which table, which group, the figures."""
    say = words_in(language)
    out = io.StringIO()
    lines = csv.writer(out)
    heads = (
        "Table", "Group", "Flags", "Confirmed", "Dismissed", "Proper complaints", "False-flag rate", "from", "to",
        "Warnings", "Minutes after the flag", "Hours to the verdict (middle)", "Callers with several cases",
    )  # fmt: skip
    lines.writerow([say(head) for head in heads])
    tables = (("all", [made.all]), ("week", made.weeks), ("kind", made.kinds), ("queue", made.queues),
              ("hour", made.hours), ("rule", made.rules), ("flagged by", made.by_flagger))  # fmt: skip
    for name, groups in tables:
        for group in groups:
            shown = kind_words(group.name, language) if name == "kind" else group.name
            lines.writerow([say(name), _calm(shown), *_figures_of(group)])
    return out.getvalue()


def _figures_of(group: Group) -> list[object]:
    low, high = group.false_flags.interval
    return [
        group.flags,
        group.confirmed,
        group.dismissed,
        group.proper,
        f"{group.false_flags.value:.3f}" if group.judged else "",
        f"{low:.3f}" if group.judged else "",
        f"{high:.3f}" if group.judged else "",
        group.warnings,
        round(group.lost_s / 60),
        f"{group.review_h:.1f}" if group.review_h is not None else "",
        group.repeat_callers,
    ]


def _calm(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _pdf(request: Request, desk: Desk, who: Visitor, template: str, facts: dict[str, Any], name: str) -> Response:
    try:
        import weasyprint
    except ImportError as error:
        raise Refused(
            "printing needs the extra pdf", code="pdf-missing", hint="pip install 'callguard[pdf]'"
        ) from error
    page = environment().get_template(template).render(**common(request, desk, who, who.language), word=word, **facts)

    def nothing_from_outside(url: str, *_: Any, **__: Any) -> dict[str, Any]:
        raise ValueError("a printed page fetches nothing")

    body = weasyprint.HTML(string=page, url_fetcher=nothing_from_outside).write_pdf()
    return Response(
        body, media_type="application/pdf", headers={"content-disposition": f'attachment; filename="{name}"'}
    )


def _span(since: str, until: str, *, weeks: int) -> tuple[date, date]:
    last = _day(until) or datetime.now().astimezone().date()
    first = _day(since) or last - timedelta(weeks=weeks)
    if first > last:
        first, last = last, first
    return max(first, last - LONGEST), last


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 2000 <= found.year <= 2100 else None


def _begin(day: date) -> datetime:
    return datetime.combine(day, time()).astimezone().astimezone(UTC)
