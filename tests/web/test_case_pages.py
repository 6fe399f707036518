"""Cases at the desk: who sees which, what is written down, and what is refused."""

import io
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
import world

from callguard.model.case import CaseStatus
from callguard.store.reviews import UNDO, Judgement, Opinion, Verdict

HOSTILE = '<img src=x onerror="alert(1)"> & "quotes" \u202e%s{{7*7}}'


@pytest.fixture
def fresh(house):
    """A new case of billing, agent PJSIP/101."""
    fresh.count = getattr(fresh, "count", 900) + 1
    return world.add_case(house.store, fresh.count, at=datetime.now(UTC) - timedelta(minutes=3), phone="+441632000999")


def verbs(house, case):
    return [(line.who, line.verb) for line in house.store.audit_lines(thing=case)]


def give(client, case, **more):
    data = {"csrf": client.csrf, "decision": "confirmed", "justified": "partly", "acceptable": "no",
            "category": "threat", "severity": "3", "words": "I will come"} | more  # fmt: skip
    return client.post(f"/cases/{case}/verdict", data=data)


def test_an_agent_sees_their_own_cases_only(house, enter):
    page = enter("kato").get("/cases?tab=all").text
    assert house.cases[0] in page and house.cases[1] not in page
    assert enter("kato").get(f"/cases/{house.cases[1]}").status_code == 403


def test_a_supervisor_sees_their_queue_only(house, enter):
    client = enter("sato")
    page = client.get("/cases?tab=all").text
    assert house.cases[0] in page and house.cases[1] not in page
    assert client.get(f"/cases/{house.cases[1]}").status_code == 403
    assert house.cases[1] not in client.get("/cases?tab=all&queue=support").text
    assert house.cases[1] not in client.get("/cases?tab=all&words=土下座").text


def test_care_sees_the_case_but_neither_words_nor_number(house, enter):
    page = enter("hayashi").get(f"/cases/{house.cases[0]}").text
    assert "break your face" not in page and "+441632960123" not in page and "<audio" not in page
    assert enter("hayashi").get(f"/cases/{house.cases[0]}/sound/0").status_code == 403


@pytest.mark.parametrize("words", ["土下座", "break your face", "ＢＲＥＡＫ　your"])
def test_words_are_found_in_both_languages(house, enter, words):
    page = enter("mori").get("/cases", params={"tab": "all", "words": words}).text
    assert (house.cases[1] if words == "土下座" else house.cases[0]) in page


def test_hostile_text_is_shown_as_text(house, enter):
    case = world.add_case(
        house.store, 801, at=datetime.now(UTC) - timedelta(minutes=9), name=HOSTILE, queue="billing",
        lines=(world.Line(1.0, "caller", HOSTILE, ("en.x", "threat", 2, "onerror")),))  # fmt: skip
    client = enter("mori")
    client.post(f"/cases/{case}/note", data={"csrf": client.csrf, "text": HOSTILE})
    for path in (f"/cases/{case}", "/cases?tab=all", "/cases?tab=all&words=onerror"):
        page = client.get(path).text
        assert "<img src=x" not in page
    assert "&lt;img src=x" in client.get(f"/cases/{case}").text


def test_reading_and_playing_are_written_down(house, enter, fresh):
    client = enter("mori")
    client.get(f"/cases/{house.cases[0]}")
    whole = client.get(f"/cases/{house.cases[0]}/sound/0")
    assert whole.status_code == 200 and whole.content[:4] == b"fLaC"
    part = client.get(f"/cases/{house.cases[0]}/sound/0", headers={"range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == whole.content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    tail = client.get(f"/cases/{house.cases[0]}/sound/0", headers={"range": "bytes=-10"})
    assert tail.content == whole.content[-10:]
    assert client.get(f"/cases/{house.cases[0]}/sound/0", headers={"range": "bytes=999999999-"}).status_code == 416
    assert client.get(f"/cases/{house.cases[0]}/sound/99").status_code == 404
    told = verbs(house, house.cases[0])
    assert ("mori", "read") in told and told.count(("mori", "play")) == 1


def test_a_range_alone_is_written_down_too(house, enter):
    client = enter("otto")
    client.get(f"/cases/{house.cases[1]}/sound/1", headers={"range": "bytes=5-9"})
    assert ("otto", "play") in verbs(house, house.cases[1])


def test_peaks_tell_where_it_is_loud(house, enter):
    found = enter("mori").get(f"/cases/{house.cases[0]}/peaks/0").json()["peaks"]
    assert 1000 <= len(found) <= 1300 and max(found) > 10 and min(found) < 3


def test_a_verdict_is_added_and_can_be_taken_back(house, enter, fresh):
    client = enter("mori")
    assert give(client, fresh).status_code == 200
    assert house.store.case_line(fresh).status is CaseStatus.CONFIRMED
    assert ("mori", "verdict") in verbs(house, fresh)
    assert client.post(f"/cases/{fresh}/undo", data={"csrf": client.csrf}).status_code == 200
    assert house.store.case_line(fresh).status is CaseStatus.IN_REVIEW
    assert [one.kind for one in house.desk.reviews.entries(fresh)] == ["verdict", "undo"]


def test_a_proper_complaint_cannot_be_confirmed(house, enter, fresh):
    answer = give(enter("mori"), fresh, justified="yes", acceptable="yes")
    assert answer.status_code == 409 and house.desk.reviews.entries(fresh) == ()
    answer = give(enter("mori"), fresh, justified="yes", acceptable="yes", decision="dismissed", category="")
    assert answer.status_code == 200 and house.store.case_line(fresh).status is CaseStatus.DISMISSED


def test_after_ten_seconds_a_verdict_stays(house, monkeypatch, fresh):
    reviews, start = house.desk.reviews, datetime.now(UTC)
    judged = Judgement(
        verdict=Verdict.CONFIRMED, justified=Opinion.NO, acceptable=Opinion.NO, category="threat", severity=2
    )
    reviews.judge(fresh, judged, by="mori")
    monkeypatch.setattr(house.store, "_clock", lambda: start + UNDO + timedelta(seconds=3))
    with pytest.raises(Exception, match="ten seconds") as caught:
        reviews.undo(fresh, by="mori")
    assert caught.value.code == "undo-too-late"


def test_a_second_opinion_comes_from_somebody_else(house, enter, fresh):
    first, second = enter("mori"), enter("lee")
    give(first, fresh)
    assert give(first, fresh, second="yes").status_code == 403
    assert give(second, fresh, second="yes", decision="dismissed").status_code == 200
    standing = house.desk.reviews.standing(fresh)
    assert standing.differ and standing.decided_by == "mori"
    assert "opinions differ" in first.get(f"/cases/{fresh}").text


def test_who_may_not_judge_does_not(house, enter, fresh):
    for name in ("kato", "sato", "hayashi", "otto"):
        assert give(enter(name), fresh).status_code == 403
    assert house.desk.reviews.entries(fresh) == ()


def test_two_people_release_a_hold(house, enter, fresh):
    mori, otto = enter("mori"), enter("otto")
    mori.post(f"/cases/{fresh}/hold", data={"csrf": mori.csrf, "reason": "the police asked"})
    assert house.store.case_line(fresh).held
    mori.post(f"/cases/{fresh}/release", data={"csrf": mori.csrf})
    mori.post(f"/cases/{fresh}/release", data={"csrf": mori.csrf})
    assert house.store.case_line(fresh).held
    otto.post(f"/cases/{fresh}/release", data={"csrf": otto.csrf})
    assert not house.store.case_line(fresh).held


def test_an_export_is_a_bundle_and_is_written_down(house, enter):
    client = enter("mori")
    answer = client.post(f"/cases/{house.cases[0]}/export", data={"csrf": client.csrf})
    assert answer.status_code == 200 and "attachment" in answer.headers["content-disposition"]
    assert zipfile.ZipFile(io.BytesIO(answer.content)).testzip() is None
    assert ("mori", "exported") in verbs(house, house.cases[0])
    sato = enter("sato")
    assert sato.post(f"/cases/{house.cases[0]}/export", data={"csrf": sato.csrf}).status_code == 403


def test_care_assignment_notes_and_what_the_caller_was_told(house, enter, fresh):
    mori, hayashi = enter("mori"), enter("hayashi")
    mori.post(f"/cases/{fresh}/assign", data={"csrf": mori.csrf, "to": "lee"})
    assert house.store.case_line(fresh).assigned == "lee"
    assert fresh in enter("lee").get("/cases?tab=mine").text
    give(mori, fresh)
    assert fresh in hayashi.get("/cases?tab=care").text
    hayashi.post(
        f"/cases/{fresh}/care", data={"csrf": hayashi.csrf, "contacted": "yes", "rested": "yes", "finished": "yes"}
    )
    assert house.desk.reviews.standing(fresh).care == "finished"
    mori.post(f"/cases/{fresh}/told", data={"csrf": mori.csrf, "text": "by letter"})
    assert house.desk.reviews.standing(fresh).told_at is not None
    mori.post(f"/cases/{fresh}/second", data={"csrf": mori.csrf, "of": "lee"})
    assert fresh in enter("lee").get("/cases?tab=second").text


def test_a_measure_ends_and_needs_a_confirmed_case(house, enter, fresh):
    client = enter("mori")
    soon, later = (datetime.now().date() + timedelta(days=days) for days in (20, 60))
    data = {"csrf": client.csrf, "what": "route", "reason": "threats", "review": str(soon), "expires": str(later)}
    assert client.post(f"/cases/{fresh}/measure", data=data).status_code == 409
    give(client, fresh)
    assert client.post(f"/cases/{fresh}/measure", data=data | {"expires": "2020-01-01"}).status_code == 409
    assert client.post(f"/cases/{fresh}/measure", data=data).status_code == 200
    (measure,) = house.desk.reviews.standing_measures("+44 1632 000999")
    way = f"/cases/{fresh}/measures/{measure.id}"
    assert client.post(f"{way}/appeal", data={"csrf": client.csrf, "text": "it was my brother"}).status_code == 200
    assert client.post(f"{way}/lift", data={"csrf": client.csrf, "text": "true"}).status_code == 200
    assert house.desk.reviews.standing_measures("+441632000999") == []


def test_what_people_wrote_goes_with_its_case(house, enter, fresh):
    give(enter("mori"), fresh)
    house.store.delete(fresh, who="otto", why="a test")
    assert house.desk.reviews.entries(fresh) == () and house.desk.reviews.standing(fresh).decision == ""


def test_paging_shows_every_case_once(house, enter):
    client, seen, path = enter("mori"), [], "/cases?tab=all"
    while path:
        page = client.get(path).text
        seen += [part.split('"')[0] for part in page.split('class="case" href="/cases/')[1:]]
        older = page.split('href="/cases?')[1:]
        path = next(
            ("/cases?" + one.split('"')[0].replace("&amp;", "&") for one in older if "after=" in one.split('"')[0]), ""
        )
    assert len(seen) == len(set(seen)) == house.store.count_cases()


@pytest.mark.parametrize(
    "path",
    [
        "/cases?severity=x&since=nonsense&until=0000-00-00",
        "/cases?after=%00|x",
        "/cases?tab=all&words=%22%2A",
        "/cases?tab=all&since=9999-12-31",
        "/cases?words=%F0%9F%98%80",
    ],
)
def test_odd_filters_do_no_harm(enter, path):
    assert enter("mori").get(path).status_code == 200


def test_reports_count_and_name_no_agent(house, enter):
    client = enter("mori")
    page = client.get("/reports").text
    assert "False-flag rate" in page and "PJSIP/10" not in page
    table = client.get("/reports.csv").text
    assert table.startswith("\ufeff") and "PJSIP/10" not in table
    assert client.get("/reports.pdf").content[:5] == b"%PDF-"
    assert client.get("/proof.pdf").content[:5] == b"%PDF-"
    client.post(
        "/proof/trainings",
        data={"csrf": client.csrf, "title": "How to calm", "held_on": str(datetime.now().date()), "people": "12"},
    )
    assert "How to calm" in client.get("/proof").text
