#!/opt/callguard/bin/python3
"""An agent pressed a key: tell the daemon, and tell the dialplan what the agent shall hear.

AGI(callguard_key.py,<key>,<press id>,<linkedid>). Sets CALLGUARD_TONE and CALLGUARD_SAY; where it sets neither,
the press is not stored and the dialplan has to keep the evidence by itself.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

from asterisk.agi import AGI, AGIException
from callguard_agi import CONF, bound, plain, shown
from callguard_bus import ask

KEYS = ("flag", "unflag", "warn", "handover", "help", "end", "why")


def main() -> None:
    bound()
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    agi = AGI(stderr=Path(os.devnull).open("w"))  # noqa: SIM115 - it would write every variable to Asterisk's log
    key = agi.env.get("agi_arg_1", "")
    if key not in KEYS:
        return
    press = {
        "id": plain(agi.env.get("agi_arg_2", ""), ".") or os.urandom(16).hex(),
        "key": key,
        "uniqueid": shown(agi.env.get("agi_uniqueid", "")),
        "linkedid": shown(agi.env.get("agi_arg_3", "")),
        "channel": shown(agi.env.get("agi_channel", "")),
        "pressed_at_ms": str(time.time_ns() // 1_000_000),
    }
    stored, answer = ask("callguard:keys", press, 10_000)
    tone = answer.get("tone")
    if tone not in ("accepted", "refused", "recorded-only", "none"):
        tone = "recorded-only" if stored or spooled(press) else ""
    if tone:
        agi.set_variable("CALLGUARD_SAY", plain(str(answer.get("say", ""))))
        agi.set_variable("CALLGUARD_TONE", tone)


def spooled(press: dict[str, str]) -> bool:
    """Leave the press as a file that the daemon takes in when it is back."""
    folder = Path(CONF.get("keys", "spool", fallback="/var/spool/callguard"))
    half = folder / f"{press['id']}.tmp"
    try:
        half.write_text(json.dumps(press), encoding="utf-8")
        half.chmod(0o660)
        half.rename(half.with_suffix(".json"))
    except OSError:
        return False
    return True


if __name__ == "__main__":
    with contextlib.suppress(AGIException, ValueError, OSError):  # the call went on without us
        main()
    os._exit(0)
