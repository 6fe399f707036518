"""The printable report of a case, in English and Japanese: exact words for desk, lawyer and police.

HTML always; PDF where the extra ``pdf`` is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from callguard.model.case import RecordKind
from callguard.store.bundle import Contents, clock, part_of
from callguard.store.report_words import WORDS

LANGUAGES = ("en", "ja")
_HEARD = ("played", "play", "listened", "read", "exported", "export")


def reports_of(contents: Contents) -> dict[str, bytes]:
    """Part name -> report, for every language."""
    made: dict[str, bytes] = {}
    for language in LANGUAGES:
        html = report_html(contents, language=language)
        made[f"report.{language}.html"] = html.encode()
        pdf = report_pdf(html)
        if pdf is not None:
            made[f"report.{language}.pdf"] = pdf
    return made


def report_html(contents: Contents, *, language: str) -> str:
    """One page for people. Everything foreign is escaped."""
    view, words = contents.view, WORDS[language]
    started = view.line.call_started_at

    def wall(at: datetime | None) -> str:
        return at.strftime("%Y-%m-%d %H:%M:%S UTC") if at else "–"

    def said(key: object) -> str:
        return words.get(str(key), str(key))

    return _TEMPLATE.render(
        t=words,
        language=language,
        line=view.line,
        wall=wall,
        said=said,
        clock=clock,
        started=started,
        flags=view.of(RecordKind.FLAG),
        findings=view.of(RecordKind.FINDING),
        decisions=[one for one in view.of(RecordKind.DECISION) if one.data.get("because")],
        keys=view.of(RecordKind.KEY),
        warnings=view.of(RecordKind.ANNOUNCEMENT),
        talk=sorted(view.of(RecordKind.TRANSCRIPT), key=lambda one: one.at_ms),
        presence=view.of(RecordKind.PRESENCE),
        gaps=view.of(RecordKind.GAP, RecordKind.HEALTH),
        segments=[(part_of(one), one, part_of(one) in contents.sound) for one in view.segments],
        heard=[one for one in contents.audit if one.verb in _HEARD],
        desk=[{**one, "words": _flat(one["data"])} for one in contents.desk],
        policies=contents.policies,
        masked=contents.masked,
    )


def report_pdf(html: str) -> bytes | None:
    """The same on paper; None where the extra is not installed."""
    try:
        import weasyprint
    except (ImportError, OSError):
        return None
    return bytes(weasyprint.HTML(string=html, url_fetcher=_nothing).write_pdf())


def _nothing(url: str, *_: object, **__: object) -> dict[str, Any]:
    raise ValueError("a report fetches nothing")


def _flat(data: object) -> str:
    if isinstance(data, Mapping):
        return "; ".join(f"{key}: {_flat(value)}" for key, value in data.items() if value not in (None, "", [], {}))
    if isinstance(data, list):
        return ", ".join(_flat(one) for one in data)
    return str(data)


_TEMPLATE = Environment(
    loader=PackageLoader("callguard.store"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
).get_template("report.html")
