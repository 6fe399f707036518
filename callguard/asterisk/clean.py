"""How text is made safe on its way to Asterisk: one function per sink.

Text from callers, from the board and from files is never trusted. A function here either returns something that
means exactly itself at its sink, or raises Refused with the code ``unsafe-text``; none of them repairs by guessing.
``shown_text`` alone replaces, for text that is only ever shown.
"""

from __future__ import annotations

import re
import unicodedata

from callguard.model.errors import Refused

AMI_VALUE_BYTES = 900
"""Asterisk reads manager lines into 1024 bytes (manager.c, inbuf) and answers "line too long" beyond; the name, the
colon and some air come off that."""

AGI_ARGUMENT_BYTES = 1500
"""An AGI command is limited to 2 KiB before 20.16 and 22.6 (res_agi.c, AST_MAX_CMD_LEN)."""

_BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_AMI_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@-]*")
_FILE_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@;<>+=~%#-]{0,159}")
_DESTINATION = re.compile(r"[0-9]{2,6}")
_DIGITS = re.compile(r"[0-9A-D*#]{1,16}")


def _refuse(what: str) -> Refused:
    return Refused(f"{what} cannot be sent to Asterisk", code="unsafe-text", hint="Use letters, digits, - and _ only.")


def ami_name(name: str) -> str:
    """A header's name in a manager action."""
    if not _AMI_NAME.fullmatch(name):
        raise _refuse("this header name")
    return name


def ami_value(value: str) -> str:
    """A header's value in a manager action: one line, no control characters, within the line limit."""
    if _BREAKS.search(value) or value != value.strip():
        raise _refuse("a value with line breaks, control characters or outer blanks")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise _refuse("a value that is not text") from error
    if size > AMI_VALUE_BYTES:
        raise _refuse("a value this long")
    return value


def agi_argument(value: str) -> str:
    """One argument of an AGI command, quoted. Quotes and backslashes are escaped, anything that ends a line refused."""
    if _BREAKS.search(value):
        raise _refuse("an argument with line breaks or control characters")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise _refuse("an argument that is not text") from error
    if size > AGI_ARGUMENT_BYTES:
        raise _refuse("an argument this long")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def variable_name(name: str) -> str:
    """A dialplan variable's name; no functions, no inheritance marks beyond underscores."""
    if not _VARIABLE.fullmatch(name):
        raise _refuse("this variable name")
    return name


def variable_value(value: str) -> str:
    """A dialplan variable's value: nothing that the dialplan could expand, split or run."""
    if not _PLAIN.fullmatch(value) or len(value) > 200:
        raise _refuse("a variable value with more than plain characters")
    return value


def user_event_value(value: str) -> str:
    """A header of a user event that we send: a manager value without the dialplan's syntax."""
    if re.search(r"[,|^]|\$[{\[]", value):
        raise _refuse("an event value with dialplan syntax")
    return ami_value(value)


def file_part(name: str) -> str:
    """One part of a sound file's name: no path, no joining ``&``, no address that Asterisk would fetch."""
    if not _FILE_PART.fullmatch(name):
        raise _refuse("this sound name")
    return name


def channel(name: str) -> str:
    """A channel by uniqueid or full name. A leading ``/`` would be a pattern over all channels (manager Hangup)."""
    if not _CHANNEL.fullmatch(name):
        raise _refuse("this channel")
    return name


def destination(extension: str) -> str:
    """Where a caller may be sent: two to six digits, nothing else."""
    if not _DESTINATION.fullmatch(extension):
        raise Refused("this destination is not a short internal number", code="unsafe-destination")
    return extension


def digits(keys: str) -> str:
    """Telephone keys to be pressed for somebody."""
    if not _DIGITS.fullmatch(keys):
        raise _refuse("these digits")
    return keys


def from_outside(raw: bytes) -> str:
    """Text from the PBX. UTF-8 where it is that; else Latin-1, which older channel drivers send as it came."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


_ESCAPES = {
    "\\n": "\n",
    "\\r": "\r",
    "\\t": "\t",
    '\\"': '"',
    "\\\\": "\\",
    "\\a": "",
    "\\b": "",
    "\\f": "",
    "\\v": "",
    "\\'": "'",
    "\\?": "?",
}
_ESCAPED = re.compile(r"""\\[nrtabfv"'?\\]""")


def unescaped(value: str) -> str:
    """Undo what ast_escape_c did to a caller id name or a channel variable."""
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], value)


def shown_text(value: str, *, limit: int = 300) -> str:
    """A name or number from outside as one line that can be stored and shown: control and direction marks gone."""
    kept = "".join(" " if c.isspace() else c for c in value if c.isspace() or unicodedata.category(c) not in _UNSHOWN)
    return " ".join(kept.split())[:limit]


_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
