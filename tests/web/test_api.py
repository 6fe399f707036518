"""/api/v1: rights of tokens, what is hidden, and a fuzz of everything from its own description."""

import httpx
import hypothesis
import pytest
import schemathesis
import schemathesis.specs.openapi.schemas  # here, not deep inside a test: pytest rewrites it on import
import world
from conftest import QUICK, signed_in
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from callguard.web.serve import make_app

VERBS = ("see-board", "see-cases", "play", "see-caller", "decide", "second-opinion", "note", "listen")


@pytest.fixture
def api(house):
    """api(user, *verbs) -> client with a token."""
    clients = []

    def go(user, *verbs):
        text, _ = house.desk.accounts.make_token(user, name="test", verbs=verbs or VERBS)
        client = httpx.Client(base_url=house.url + "/api/v1", headers={"authorization": f"Bearer {text}"}, timeout=20)
        clients.append(client)
        return client

    yield go
    for client in clients:
        client.close()


def test_without_a_token_nothing_opens(house):
    for headers in ({}, {"authorization": "Bearer cg_nonsense"}, {"authorization": "Basic eDp5"}):
        answer = httpx.get(house.url + "/api/v1/cases", headers=headers)
        assert answer.status_code == 401 and answer.json()["code"] == "token-wrong"


def test_a_browsers_cookie_is_no_token(house):
    client = signed_in(house, "mori")
    assert client.get("/api/v1/cases").status_code == 401
    client.close()


def test_a_token_has_at_most_its_verbs_and_its_owners_rights(house, api):
    assert api("mori", "see-cases").get("/me").json()["verbs"] == ["see-cases"]
    assert "decide" not in api("sato").get("/me").json()["verbs"]
    assert api("mori", "see-board").get("/cases").status_code == 403
    assert api("sato").get(f"/cases/{house.cases[1]}").status_code == 403


def test_cases_words_and_numbers_by_right(house, api):
    whole = api("mori").get(f"/cases/{house.cases[0]}").json()
    assert any("break your face" in one["text"] for one in whole["transcript"])
    assert whole["caller_number"] == "+441632960123" and whole["sounds"]
    less = api("mori", "see-cases").get(f"/cases/{house.cases[0]}").json()
    assert less["transcript"] == [] and less["sounds"] == [] and less["caller_number"] == "••••••••23"
    assert all(one["words"] == "" for one in less["findings"])


def test_sound_comes_and_is_written_down(house, api):
    answer = api("mori").get(f"/cases/{house.cases[0]}/sound/0")
    assert answer.status_code == 200 and answer.headers["content-type"] == "audio/flac"
    assert any("token" in line.who and line.verb == "play" for line in house.store.audit_lines(thing=house.cases[0]))


def test_paging_and_filters(house, api):
    client, seen, after = api("mori"), [], ""
    while True:
        page = client.get("/cases", params={"limit": 20, "after": after}).json()
        seen += [one["id"] for one in page["cases"]]
        after = page["after"]
        if not after:
            break
    assert len(seen) == len(set(seen)) == house.store.count_cases()
    found = client.get("/cases", params={"words": "土下座", "status": "new"}).json()["cases"]
    assert house.cases[1] in [one["id"] for one in found]


def test_a_verdict_by_token(house, api):
    case = world.add_case(house.store, 951, at=world.datetime.now(world.UTC))
    given = {"decision": "confirmed", "justified": "no", "acceptable": "no", "category": "threat", "severity": 2}
    answer = api("mori").post(f"/cases/{case}/verdict", json=given)
    assert answer.status_code == 201 and answer.json()["kind"] == "verdict"
    refused = api("mori").post(f"/cases/{case}/verdict", json=given | {"justified": "yes", "acceptable": "yes"})
    assert refused.status_code == 409 and refused.json()["code"] == "harassment-but-fair"
    assert api("mori", "see-cases").post(f"/cases/{case}/verdict", json=given).status_code == 403


def test_live_calls_are_masked_by_right(house, api):
    known = {row["call"]: row for row in api("mori").get("/calls").json()["calls"]}
    hidden = {row["call"]: row for row in api("mori", "see-board").get("/calls").json()["calls"]}
    assert known["1764500000.1"]["caller_number"] == "+441632960001"
    assert hidden["1764500000.1"]["caller_number"].startswith("•") and hidden["1764500000.1"]["caller_name"] == ""


def test_every_operation_is_described(house):
    described = httpx.get(house.url + "/api/v1/openapi.json").json()
    for path, operations in described["paths"].items():
        assert path.startswith("/api/v1/")
        for operation in operations.values():
            assert operation["summary"] and "401" in operation["responses"] and "403" in operation["responses"]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """The same application without a bus, called in this process."""
    from callguard.store.opening import open_store
    from callguard.store.reviews import Reviews

    tmp = tmp_path_factory.mktemp("fuzz")
    store = open_store(f"sqlite:///{tmp}/callguard.db", segments=tmp / "segments")
    app = make_app(world.settings(tmp), store, None, argon=QUICK)
    world.add_people(app.state.desk.accounts)
    case = world.add_case(store, 1, at=world.datetime.now(world.UTC), sound=True)
    Reviews(store)
    text, _ = app.state.desk.accounts.make_token("root", name="fuzz", verbs=VERBS)
    yield app, text, case
    store.close()


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.timeout(300)
def test_every_answer_is_one_that_is_described(quiet):
    """Every operation, from its own description: a good token, and the id of a real case half of the time."""
    app, token, known = quiet
    described = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app)
    counted = {}
    for found in described.get_all_operations():
        fuzz(found.ok(), token=token, known=known, counted=counted)
    assert len(counted) == 8
    assert 200 in counted["GET /api/v1/cases"] and 201 in counted["POST /api/v1/cases/{case}/notes"]


def fuzz(operation, *, token, known, counted):
    @hypothesis.settings(
        max_examples=40, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(case=operation.as_strategy(), real=st.booleans())
    def ask(case, real):
        if real and "case" in (case.path_parameters or {}):
            case.path_parameters["case"] = known
        answer = case.call(headers={"authorization": f"Bearer {token}"})
        case.validate_response(answer, checks=CHECKS)
        counted.setdefault(operation.label, set()).add(answer.status_code)

    ask()
