"""One question over the bus, spoken by hand: importing a client library would take longer than an agent may wait."""

import json
import socket
from urllib.parse import unquote, urlsplit

from callguard_agi import CONF, left


def ask(stream: str, fields: dict[str, str], keep: int) -> tuple[bool, dict[str, object]]:
    """Whether the message is on the bus, and the answer, empty where the daemon gave none in time."""
    said = False
    try:
        sock, user = _connect()
        if user:
            _do(sock, "AUTH", *user)
        words = [word for pair in fields.items() for word in pair]
        _do(sock, "XADD", stream, "MAXLEN", "~", str(keep), "*", *words)
        said = True
        if _do(sock, "EXISTS", "callguard:alive") != b"1":
            return True, {}
        got = _do(sock, "BLPOP", "callguard:answer:" + fields["id"], f"{left():.3f}")
        answer = json.loads(got[1]) if isinstance(got, list) else {}
        return True, answer if isinstance(answer, dict) else {}
    except (OSError, ValueError, LookupError):
        return said, {}


def _connect() -> tuple[object, list[str]]:
    url = urlsplit(CONF.get("bus", "url", fallback=""))
    path = CONF.get("bus", "socket", fallback="") or (url.path if url.scheme.endswith("unix") else "")
    if path or not url.hostname:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(left())
        sock.connect(path or "/run/callguard/valkey.sock")
    else:
        sock = socket.create_connection((url.hostname, url.port or 6379), timeout=left())
        if url.scheme == "rediss":
            import ssl

            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=url.hostname)
    return sock, [unquote(word) for word in (url.username, url.password) if word]


def _do(sock, *words: str):
    sock.settimeout(left())
    raw = [word.encode("utf-8", "replace") for word in words]
    sock.sendall(b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in raw))
    return _reply(sock.makefile("rb"))


def _reply(file):
    line = file.readline()
    kind, rest = line[:1], line[1:].strip()
    if kind == b"*" and rest != b"-1":
        return [_reply(file) for _ in range(int(rest))]
    if kind == b"$" and rest != b"-1":
        return file.read(int(rest) + 2)[:-2]
    if kind in (b"-", b""):
        raise OSError("refused, or gone")
    return None if rest == b"-1" else rest
