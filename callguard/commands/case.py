"""``callguard case``: cases for people in the terminal, and as JSON for scripts."""

from __future__ import annotations

import getpass
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from callguard.model.policy import Keeping
    from callguard.store import CaseLine, CaseView, Store

app = typer.Typer(no_args_is_help=True, help="List, show, export, hold, release and purge cases.")

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="Settings file; default /etc/callguard/callguard.toml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for scripts.")]
Who = Annotated[str, typer.Option("--as", help="Who does it, for the audit; default your login name.")]
Case = Annotated[str, typer.Argument(metavar="CASE", help="A case's id, as `callguard case list` shows it.")]


@contextmanager
def opened(settings: Path | None) -> Iterator[Store]:
    """The store these settings name."""
    from callguard.config import load_settings
    from callguard.store import open_store

    read = load_settings(settings).store
    store = open_store(read.url, segments=read.segments, key_file=read.key_file, archive=read.archive)
    try:
        yield store
    finally:
        store.close()


@app.command("list")
def list_(
    settings: SettingsFile = None,
    as_json: AsJson = False,
    status: Annotated[list[str] | None, typer.Option(help="new, in-review, confirmed, dismissed or closed.")] = None,
    queue: Annotated[list[str] | None, typer.Option(help="Only these queues.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only cases of these kinds, e.g. threat.")] = None,
    words: Annotated[str, typer.Option(help="Only calls in which this was said.")] = "",
    number: Annotated[str, typer.Option(help="Only calls of this number.")] = "",
    since: Annotated[datetime | None, typer.Option(help="Opened since then (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Opened before then (UTC).")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    after: Annotated[str, typer.Option(help="Go on after this place; the last page names it.")] = "",
) -> None:
    """List cases, newest first."""
    from callguard.model.case import CaseStatus
    from callguard.model.errors import SettingsError
    from callguard.store import CaseFilter

    try:
        statuses = frozenset(CaseStatus(one) for one in status or ())
    except ValueError as error:
        raise SettingsError(str(error), where="--status", hint=", ".join(CaseStatus)) from None
    with opened(settings) as store:
        wanted = CaseFilter(
            statuses=statuses,
            queues=frozenset(queue) if queue else None,
            kinds=frozenset(kind or ()),
            words=words,
            caller_mark=(store.mark(number) or "none") if number else "",
            since=since.replace(tzinfo=UTC) if since else None,
            until=until.replace(tzinfo=UTC) if until else None,
        )
        page = store.list_cases(wanted, limit=limit, after=after)
        if as_json:
            for line in page.lines:
                typer.echo(_json(_line(line)))
        else:
            _table(page.lines, count=store.count_cases(wanted))
        if page.after:
            typer.echo(f"more: --after '{page.after}'", err=True)


@app.command()
def show(case: Case, settings: SettingsFile = None, as_json: AsJson = False) -> None:
    """One case with its story, its sound as a picture, and why it was flagged."""
    with opened(settings) as store:
        view = _known(store, case)
        if as_json:
            typer.echo(_json(_whole(view, store)))
        else:
            _show(view, store)


@app.command()
def export(
    case: Case,
    out: Annotated[Path, typer.Option("--out", help="Where the bundle goes.")],
    settings: SettingsFile = None,
    as_json: AsJson = False,
    way: Annotated[str, typer.Option(help="original; masked for third parties; caller for their own access.")] = (
        "original"
    ),
    name: Annotated[list[str] | None, typer.Option(help="Also mask this name; may be repeated.")] = None,
    who: Who = "",
) -> None:
    """Write the signed bundle of a case: sound, words, decisions, warnings, audit, reports."""
    from callguard.model.errors import SettingsError
    from callguard.store.masking import Way

    if way not in set(Way):
        raise SettingsError(f"there is no way {way!r}", where="--way", hint=", ".join(Way))
    with opened(settings) as store:
        bundle = store.export(_known(store, case).line.id, who=who or _me(), way=Way(way), names=name or ())
    out.touch(mode=0o600)
    out.write_bytes(bundle)
    if importlib.util.find_spec("weasyprint") is None:
        typer.echo("the reports are HTML only; for PDF: pip install callguard[pdf]", err=True)
    if as_json:
        typer.echo(_json({"case": case, "out": str(out), "bytes": len(bundle)}))
    else:
        typer.echo(f"{out}: {len(bundle):,} bytes", err=True)
        typer.echo(f"verify it with: callguard evidence verify {out} --key KEY.pub", err=True)


@app.command()
def hold(
    case: Case,
    reason: Annotated[str, typer.Option(help="Why it must not be deleted.")],
    settings: SettingsFile = None,
    as_json: AsJson = False,
    who: Who = "",
) -> None:
    """Keep a case whatever its time says. Two people must release it."""
    with opened(settings) as store:
        store.hold(_known(store, case).line.id, reason=reason, who=who or _me())
    typer.echo(_json({"case": case, "held": True}) if as_json else f"{case} is held")


@app.command()
def release(case: Case, settings: SettingsFile = None, as_json: AsJson = False, who: Who = "") -> None:
    """Ask for the release of a hold, or agree to what another person asked. Exit code 1 while another must agree."""
    with opened(settings) as store:
        free = store.release(_known(store, case).line.id, who=who or _me())
    said = f"{case} is free" if free else f"{case} stays held until another person agrees"
    typer.echo(_json({"case": case, "held": not free}) if as_json else said)
    if not free:
        raise typer.Exit(1)


@app.command()
def purge(
    settings: SettingsFile = None,
    as_json: AsJson = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it only what is due is shown.")] = False,
    who: Who = "",
) -> None:
    """Delete cases whose time is over. Shows how many first; deletes with --yes or after you agree."""
    from callguard.store.retention import count_by_queue

    with opened(settings) as store:
        keeping = _Keepings(settings)
        due = store.due(keeping.of)
        queues = count_by_queue(due)
        if not as_json:
            for queue, count in sorted(queues.items()):
                typer.echo(f"{count:6} {queue or '(no queue)'}")
            typer.echo(f"{len(due):6} cases, {sum(one.segments for one in due)} files of sound", err=True)
        agreed = yes or (not as_json and bool(due) and typer.confirm("Delete them?", default=False, err=True))
        deleted = store.purge(keeping.of, who=who or _me()) if agreed else 0
        if as_json:
            typer.echo(_json({"due": len(due), "queues": queues, "deleted": deleted}))
        elif agreed:
            typer.echo(f"{deleted} cases deleted; the audit has a line for each", err=True)


class _Keepings:
    """What the policy of each queue says about keeping, read once a queue."""

    def __init__(self, settings: Path | None) -> None:
        from callguard.config import load_settings

        self._policy = load_settings(settings).policy
        self._known: dict[str, Keeping] = {}

    def of(self, queue: str) -> Keeping:
        from callguard.policyfile import load_policy

        if queue not in self._known:
            self._known[queue] = load_policy(self._policy.for_queue(queue), queue=queue).keeping
        return self._known[queue]


def _known(store: Store, case: str) -> CaseView:
    from callguard.model.errors import Refused
    from callguard.model.ids import CaseId

    view = store.case(CaseId(case.upper()))
    if view is None:
        raise Refused(f"there is no case {case}", code="no-such-case", hint="callguard case list")
    return view


def _me() -> str:
    return f"login:{getpass.getuser()}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _line(line: CaseLine) -> dict[str, Any]:
    facts = {key: value for key, value in asdict(line).items() if key not in ("caller_mark", "record_hash")}
    return {
        key: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
        for key, value in facts.items()
    }


def _whole(view: CaseView, store: Store) -> dict[str, Any]:
    return {
        **_line(view.line),
        "records": [
            {"number": one.number, "kind": one.kind, "at_ms": one.at_ms, "data": one.data} for one in view.records
        ],
        "segments": [asdict(one) for one in view.segments],
        "holds": [asdict(one) for one in store.holds(view.line.id)],
        "audit": [asdict(one) for one in store.audit_lines(thing=view.line.id)],
    }


def _table(lines: tuple[CaseLine, ...], *, count: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("case", "opened (UTC)", "status", "queue", "agent", "kinds", "sev", "warned", ""):
        side: Literal["left", "right"] = "right" if name in ("sev", "warned") else "left"
        table.add_column(name, justify=side, no_wrap=name in ("case", "opened (UTC)"))
    for one in lines:
        marks = " ".join(word for word, true in (("held", one.held), ("withdrawn", one.withdrawn)) if true)
        at = f"{one.opened_at:%Y-%m-%d %H:%M}"
        row = (one.id, at, one.status, one.queue, one.agent, ", ".join(one.kinds), str(one.severity))
        table.add_row(*map(_safe, (*row, str(one.warnings), marks)))
    console = Console()
    console.print(table)
    Console(stderr=True).print(f"{count} cases" if count != 1 else "1 case", style="dim")


def _show(view: CaseView, store: Store) -> None:
    from rich.console import Console

    from callguard.store.bundle import clock

    line, console = view.line, Console(highlight=False)
    width = max(20, min(100, console.width - 16))
    console.print(f"[bold]{line.id}[/]  {line.status}  opened {line.opened_at:%Y-%m-%d %H:%M:%S} UTC")
    caller = f"{line.caller_number or 'withheld'} {line.caller_name}"
    console.print(_safe(f"queue {line.queue or '-'}   agent {line.agent}   caller {caller}"))
    console.print(_safe(f"flagged at {clock(line.flagged_ms)} by {line.flagged_by} ({line.flag_reason})"))
    console.print(_safe(f"policy {line.policy_name} {line.policy_hash[:12]}"))
    _pictures(view, store, console, width)
    console.print()
    for record in sorted(view.records, key=lambda one: (one.at_ms, one.number)):
        if said := _told(record.kind, record.data):
            console.print(f"[dim]{clock(record.at_ms):>10}[/]  {_safe(said)}", soft_wrap=True)


def _pictures(view: CaseView, store: Store, console: Any, width: int) -> None:
    from callguard.model.case import RecordKind, Track
    from callguard.model.errors import StoreFault
    from callguard.store.bundle import clock
    from callguard.store.picture import marks, waveform

    places = [(view.line.flagged_ms, "F")]
    places += [(one.at_ms, "W") for one in view.of(RecordKind.ANNOUNCEMENT)]
    for segment in view.segments:
        if segment.track is Track.MIX:
            continue
        try:
            picture = waveform(store.sound(segment), width=width)
        except StoreFault as fault:
            picture = f"({fault})"
        console.print(f"{segment.track:<14}[cyan]{_safe(picture)}[/]", overflow="crop", no_wrap=True)
    shown = [one for one in view.segments if one.track is not Track.MIX]
    if shown:
        start_ms, end_ms = shown[-1].start_ms, shown[-1].end_ms
        below = marks(places, start_ms=start_ms, end_ms=end_ms, width=width)
        console.print(f"{'':<14}{below}", no_wrap=True, overflow="crop")
        console.print(f"{'':<14}[dim]{clock(start_ms)} – {clock(end_ms)}   F flag, W warning[/]")


def _told(kind: str, data: Any) -> str:
    match kind:
        case "transcript":
            return f"{data.get('role', '')}: {data.get('text', '')}"
        case "finding":
            return f"FOUND {data.get('category', '')} {data.get('severity', '')}: “{data.get('words', '')}”"
        case "key":
            return f"KEY {data.get('key', '')} by {data.get('by', '')}"
        case "decision":
            return "DECIDED " + " ".join(map(str, data.get("because", ())))
        case "announcement":
            return f"PLAYED “{data.get('text') or data.get('announcement', '')}” ({data.get('effect', 'done')})"
        case "presence":
            return f"{data.get('who', '')} {data.get('mode', '')} ({data.get('what', '')})"
        case "flag":
            return f"FLAG {data.get('what', 'raised')} by {data.get('by', '')}: {data.get('reason', '')}"
        case "gap":
            return f"GAP {data.get('what', '')}: {data.get('reason', '')}"
        case "outcome":
            return f"{data.get('name', '')}: {data.get('effect', '')} {data.get('detail', '')}".strip()
        case "note":
            return f"NOTE {data.get('text', '')}"
    return ""


def _safe(text: object) -> str:
    """Foreign text on a terminal: no control characters, no markup."""
    from rich.markup import escape

    return escape("".join(letter if letter.isprintable() else "?" for letter in str(text)))
