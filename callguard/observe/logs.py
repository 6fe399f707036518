"""The log: static text, values as keys, one line an event, nothing personal unless a test bench asks for it.

``extra={"code": ...}`` gives keys. Keys that begin with ``pii`` and those in ``PERSONAL`` are left out, telephone
numbers are covered wherever they stand, and whole nouns that hold words are not written out.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

PERSONAL = frozenset(
    {"number", "caller", "caller_number", "caller_name", "words", "text", "tail", "transcript", "note", "phone"}
)
"""Keys whose values are somebody's."""

COVERED = "[number]"
LEFT_OUT = "[words]"

_NOUNS_WITH_WORDS = (
    "callguard.model.words",
    "callguard.model.finding",
    "callguard.model.call",
    "callguard.bus.messages",
)

_NUMBER = re.compile(
    r"""(?<![\w.:])
    (?!\d{4}-\d\d-\d\d)                # a date
    (?:\+|\()?\d(?:[ ()-]{0,2}\d){6,}  # seven digits or more, grouped as people write them
    (?!\d|\.\d|:\d|[A-Za-z_])
    """,
    re.VERBOSE,
)
_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BARE = re.compile(r"[^\s\"'=]+")


def set_up(level: str = "info", *, format: str = "", personal: bool = False, stream: TextIO | None = None) -> None:
    """Write the log to ``stream`` (stderr) from now on. Doing it again replaces the former set-up.

    level: of callguard's own lines; other packages say warnings and worse, and all at ``debug`` with ``personal``.
    format: "text", "json", or "" for JSON where nobody watches (no terminal).
    personal: let numbers, names and words through.
    """
    out = stream or sys.stderr
    shape = format or ("text" if out.isatty() else "json")
    writer = _Writer(out)
    writer.setFormatter(_Json(personal=personal) if shape == "json" else _Text(personal=personal))
    root = logging.getLogger()
    for former in [one for one in root.handlers if isinstance(one, _Writer)]:
        root.removeHandler(former)
    root.addHandler(writer)
    wanted = logging.getLevelNamesMapping()[level.upper()]
    root.setLevel(wanted if personal else max(wanted, logging.WARNING))
    logging.getLogger("callguard").setLevel(wanted)
    logging.captureWarnings(True)


def cover(text: str) -> str:
    """This text with every telephone number in it covered. Addresses, dates and Asterisk's own ids stay."""
    return _NUMBER.sub(COVERED, text)


class _Writer(logging.StreamHandler[TextIO]):
    """Ours, so that a second set-up finds the first."""


class _Line(logging.Formatter):
    """What both shapes share: the message and its keys, with nobody's data in them."""

    def __init__(self, *, personal: bool) -> None:
        super().__init__()
        self._personal = personal

    def _said(self, record: logging.LogRecord) -> str:
        return self._clean(_message(record, keep=self._personal))

    def _keys(self, record: logging.LogRecord) -> dict[str, Any]:
        keys = {name: value for name, value in vars(record).items() if name not in _KNOWN}
        if self._personal:
            return keys
        return {name: self._value(value) for name, value in keys.items() if not _is_personal(name)}

    def _value(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        return LEFT_OUT if _holds_words(value) else cover(str(value))

    def _fault(self, record: logging.LogRecord) -> str:
        if not record.exc_info:
            return ""
        said = self.formatException(record.exc_info)
        return said if self._personal else cover(said)

    def _clean(self, text: str) -> str:
        return text if self._personal else cover(text)


class _Text(_Line):
    """``2026-11-25T09:30:00Z WARNING callguard.desk: message key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        said = _one_line(self._said(record))
        keys = "".join(f" {name}={_spelled(value)}" for name, value in self._keys(record).items())
        fault = self._fault(record)
        line = f"{_time(record)} {record.levelname} {record.name}: {said}{keys}"
        return f"{line}\n{fault}" if fault else line


class _Json(_Line):
    """One JSON object a line: time, level, logger, message, then the keys."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._said(record),
        }
        line |= {name if name not in line else f"key_{name}": value for name, value in self._keys(record).items()}
        fault = self._fault(record)
        return json.dumps(line | ({"fault": fault} if fault else {}), ensure_ascii=False, default=str)


def _message(record: logging.LogRecord, *, keep: bool) -> str:
    args = record.args
    if keep or not args:
        return record.getMessage()
    if isinstance(args, Mapping):
        safe: Any = {name: _argument(value) for name, value in args.items()}
    else:
        safe = tuple(_argument(value) for value in args)
    said: str = str(record.msg) % safe
    return said


def _argument(value: object) -> object:
    return LEFT_OUT if _holds_words(value) else value


def _holds_words(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_words(one) for one in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return any(_holds_words(one) for one in value)
    return type(value).__module__ in _NOUNS_WITH_WORDS and not isinstance(value, str)


def _is_personal(name: str) -> bool:
    return name in PERSONAL or name.startswith(("pii.", "pii_"))


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _one_line(text: str) -> str:
    """Nobody's line break makes a second line of the log."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _spelled(value: object) -> str:
    text = _one_line(str(value))
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
