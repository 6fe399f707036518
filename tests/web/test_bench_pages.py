"""The first page and a case page with 50,000 cases on SQLite: how long they take, as figures and as a limit.

``CALLGUARD_BENCH_CASES`` makes it smaller; the limits stand for 50,000.
"""

import json
import os
import random
import sqlite3
import statistics
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import world
from conftest import House, signed_in

from callguard.store.search import fold, pairs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CASES = int(os.environ.get("CALLGUARD_BENCH_CASES", "50000"))
FIRST_PAGE_S, CASE_PAGE_S = 0.100, 0.200
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def fill(path, count):
    """Cases as a daemon would have left them, straight into the tables."""
    draw = random.Random(11)
    link = sqlite3.connect(path)
    link.execute("PRAGMA synchronous = OFF")
    now, record = datetime.now(UTC), 0
    texts = [one.text for one in (*world.ENGLISH, *world.JAPANESE)]
    folded = {text: fold(text) for text in texts}
    cut = {text: " ".join(pairs(folded[text])) for text in texts}
    cases, kinds, records, spoken, states = [], [], [], [], []
    for number in range(count):
        at = now - timedelta(minutes=7 * number + draw.random())
        case = f"{at:%Y%m%d}-" + "".join(draw.choice(LETTERS) for _ in range(6))
        stamp = at.strftime("%Y-%m-%d %H:%M:%S.%f")
        japanese = draw.random() < 0.5
        status = draw.choice(["new", "confirmed", "dismissed", "dismissed", "confirmed", "in-review"])
        cases.append(
            (
                case,
                f"c{number}",
                status,
                stamp,
                stamp,
                stamp,
                72000,
                draw.choice(["billing", "support", "returns"]),
                "ja" if japanese else "en",
                "+441632960123",
                "",
                f"mark{number % 9000}",
                f"PJSIP/{100 + number % 40}",
                "house",
                "4f1c" + "0" * 60,
                "*7",
                "agent",
                48000,
                0,
                draw.randint(0, 3),
                1,
                1,
                7,
                "",
                None,
                0,
                "",
            )
        )
        kinds.append((case, draw.choice(["verbal_abuse", "threat", "authority"])))
        if status in ("confirmed", "dismissed"):
            states.append((case, status, "partly", "no", "threat", 2, stamp, "lee", "", "", "finished", None, 0, None))
        for place in range(6):
            record += 1
            text = draw.choice(world.JAPANESE if japanese else world.ENGLISH).text
            data = json.dumps(
                {
                    "role": "caller",
                    "start_ms": place * 8000,
                    "end_ms": place * 8000 + 3000,
                    "text": text,
                    "language": "en",
                }
            )
            records.append((record, case, place + 1, "transcript", place * 8000, stamp, data, ""))
            spoken.append((record, case, folded[text], cut[text]))
        record += 1
        data = json.dumps(
            {"rule": draw.choice(["en.threat.harm-you", "ja.authority.boss"]), "category": "threat", "severity": 2}
        )
        records.append((record, case, 7, "finding", 47000, stamp, data, ""))
    put = link.executemany
    put(f"INSERT INTO cases VALUES ({','.join('?' * 27)})", cases)
    put("INSERT INTO case_kinds VALUES (?,?)", kinds)
    put("INSERT INTO records VALUES (?,?,?,?,?,?,?,?)", records)
    put("INSERT INTO spoken VALUES (?,?,?,?)", spoken)
    put(
        'INSERT INTO desk_state ("case",decision,justified,acceptable,category,severity,decided_at,decided_by,'
        "second_asked,second_decision,care,care_due,training,told_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        states,
    )
    link.commit()
    link.execute("ANALYZE")
    link.commit()
    link.close()
    return [case[0] for case in cases]


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    house = House(tmp_path_factory.mktemp("big"), bus=False).start()
    world.add_people(house.desk.accounts)
    house.cases = fill(house.tmp / "callguard.db", CASES)
    yield house
    house.stop()


def middle_and_worst(client, paths):
    took = []
    for path in paths:
        began = time.perf_counter()
        answer = client.get(path)
        took.append(time.perf_counter() - began)
        assert answer.status_code == 200, (path, answer.text[:300])
    took.sort()
    return statistics.median(took), took[int(len(took) * 0.95)]


def test_pages_stay_quick(big):
    draw = random.Random(3)
    some = [f"/cases/{draw.choice(big.cases)}" for _ in range(40)]
    figures = {}
    with closing(signed_in(big, "mori")) as client:
        client.get("/cases")
        figures["first page"] = middle_and_worst(client, ["/cases"] * 40)
        figures["filtered"] = middle_and_worst(client, ["/cases?tab=all&kind=threat&queue=billing&severity=2"] * 20)
        figures["search ja"] = middle_and_worst(client, ["/cases?tab=all&words=土下座"] * 10)
        figures["search en"] = middle_and_worst(client, ["/cases?tab=all&words=break your face"] * 10)
        figures["case page"] = middle_and_worst(client, some)
        figures["reports 12 weeks"] = middle_and_worst(client, ["/reports"] * 3)
    for name, (middle, worst) in figures.items():
        print(
            json.dumps(
                {
                    "figure": f"desk {name}",
                    "cases": CASES,
                    "median_ms": round(middle * 1000, 1),
                    "p95_ms": round(worst * 1000, 1),
                }
            )
        )
    assert figures["first page"][0] < FIRST_PAGE_S
    assert figures["case page"][0] < CASE_PAGE_S
