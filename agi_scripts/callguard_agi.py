"""What the scripts share: settings, an end to everything in time, and text made safe."""

import configparser
import os
import signal
import time

BORN = time.monotonic() - time.process_time()
CONF = configparser.ConfigParser(interpolation=None)
CONF.read(os.environ.get("CALLGUARD_AGI_CONF", "/etc/callguard/agi.conf"), encoding="utf-8")
DEADLINE_S = CONF.getint("keys", "deadline_ms", fallback=300) / 1000
LAST_ACT_S = 0.06  # of the deadline, kept for the spool and for telling the dialplan


def bound() -> None:
    """Whatever hangs, the dialplan goes on: the alarm ends this process. A hang-up does not end it early."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, left() + LAST_ACT_S))


def left() -> float:
    return max(0.001, BORN + DEADLINE_S - LAST_ACT_S - time.monotonic())


def plain(text: str, more: str = "") -> str:
    """Only what means exactly itself to the dialplan: letters, digits, - and _."""
    return text if all(c.isascii() and (c.isalnum() or c in "-_" + more) for c in text) else ""


def shown(text: str) -> str:
    """A name or number from outside as one short line."""
    return "" if text == "unknown" else "".join(c if c.isprintable() else " " for c in text).strip()[:200]
