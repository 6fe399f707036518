#!/opt/callguard/bin/python3
"""A call comes in: ask the daemon for notice, route and language before it waits for an agent.

AGI(callguard_incoming.py,<queue>,<linkedid>). Sets CALLGUARD_NOTICE, _ROUTE, _LANGUAGE and _TAP; without an answer
it sets nothing, and the call goes its usual way.
"""

import contextlib
import os
import sys
import time
from pathlib import Path

from asterisk.agi import AGI, AGIException
from callguard_agi import bound, plain, shown
from callguard_bus import ask


def main() -> None:
    bound()
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    agi = AGI(stderr=Path(os.devnull).open("w"))  # noqa: SIM115 - it would write every variable to Asterisk's log
    if not agi.env.get("agi_uniqueid"):
        return
    question = {
        "id": os.urandom(16).hex(),
        "uniqueid": shown(agi.env["agi_uniqueid"]),
        "linkedid": shown(agi.env.get("agi_arg_2", "")),
        "channel": shown(agi.env.get("agi_channel", "")),
        "number": shown(agi.env.get("agi_callerid", "")),
        "name": shown(agi.env.get("agi_calleridname", "")),
        "queue": shown(agi.env.get("agi_arg_1", "")),
        "asked_at_ms": str(time.time_ns() // 1_000_000),
    }
    _, answer = ask("callguard:incoming", question, 1_000)
    if not answer:
        return
    route = plain(str(answer.get("route", "")))
    agi.set_variable("CALLGUARD_ROUTE", route if route.isdigit() and 2 <= len(route) <= 6 else "")
    language = str(answer.get("language", ""))
    agi.set_variable("CALLGUARD_LANGUAGE", language if language in ("en", "ja") else "")
    agi.set_variable("CALLGUARD_TAP", "1" if answer.get("tap") else "0")
    agi.set_variable("CALLGUARD_NOTICE", "1" if answer.get("notice") else "0")


if __name__ == "__main__":
    with contextlib.suppress(AGIException, ValueError, OSError):  # the call goes on without us
        main()
    os._exit(0)
