"""Who gets in, what every answer carries, and what a forged form comes to."""

import logging
import re

import httpx
import pytest
import world

PAGES = (
    "/",
    "/board",
    "/board/events",
    "/cases",
    "/reports",
    "/reports.csv",
    "/proof",
    "/admin",
    "/admin/audit",
    "/account",
    "/help",
)


@pytest.fixture
def stranger(house):
    with httpx.Client(base_url=house.url, timeout=20) as client:
        yield client


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_led_to_the_door(stranger, path):
    answer = stranger.get(path)
    assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")


def test_every_answer_keeps_browsers_from_harm(stranger):
    for path in ("/sign-in", "/nothing", "/api/v1/me", "/static/desk.css"):
        headers = stranger.get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_pages_hold_no_inline_script_or_style(enter, house):
    client = enter("root")
    for path in ("/board", "/cases?tab=all", f"/cases/{house.cases[0]}", "/reports", "/admin", "/help", "/account"):
        page = client.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), path
        assert not re.search(r"\s(style|on\w+)=\"", page), path


def test_the_log_line_for_fail2ban_stays_as_it_is(stranger, caplog):
    form = stranger.get("/sign-in").text.split('name="form" value="')[1].split('"')[0]
    with caplog.at_level(logging.WARNING, logger="callguard.desk"):
        answer = stranger.post("/sign-in", data={"name": "nobody\nrhost=6.6.6.6", "password": "x", "form": form})
    assert answer.status_code == 401
    assert [one.getMessage() for one in caplog.records] == ["desk sign-in refused rhost=127.0.0.1 reason=sign-in-wrong"]


def test_a_sign_in_form_of_another_site_is_refused(stranger):
    assert stranger.post("/sign-in", data={"name": "mori", "password": world.PASSWORD}).status_code == 403
    form = stranger.get("/sign-in").text.split('name="form" value="')[1].split('"')[0]
    data = {"name": "mori", "password": world.PASSWORD, "form": form}
    assert stranger.post("/sign-in", data=data, headers={"origin": "https://evil.example"}).status_code == 403
    assert stranger.post("/sign-in", data=data, headers={"sec-fetch-site": "cross-site"}).status_code == 403


@pytest.mark.parametrize("after", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_led_elsewhere(stranger, after):
    page = stranger.get("/sign-in", params={"after": after})
    assert 'name="after" value="/"' in page.text


def test_the_cookie_is_for_the_server_alone(house):
    form = httpx.get(house.url + "/sign-in")
    secret = form.text.split('name="form" value="')[1].split('"')[0]
    answer = httpx.post(
        house.url + "/sign-in", data={"name": "mori", "password": world.PASSWORD, "form": secret}, cookies=form.cookies
    )
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("callguard="))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie


@pytest.mark.parametrize("path", ["/sign-out", "/account", "/admin/accounts", "/board/orders", "/proof/trainings"])
def test_a_form_without_its_secret_does_nothing(enter, path):
    client = enter("root")
    assert client.post(path, data={"csrf": "wrong"}).status_code == 403


def test_a_sign_in_can_be_ended_from_elsewhere(house, enter):
    one, other = enter("lee"), enter("lee")
    shown = re.findall(r"/account/sign-ins/(\w+)/end", one.get("/account").text)
    assert len(shown) == len(house.desk.accounts.sign_ins("lee")) - 1
    for sign_in in shown:
        one.post(f"/account/sign-ins/{sign_in}/end", data={"csrf": one.csrf})
    assert other.get("/cases").url.path == "/sign-in"
    assert one.get("/cases").url.path == "/cases"


def test_disabling_an_account_ends_it_at_once(house, enter):
    house.desk.accounts.add("shortly", world.PASSWORD, roles=["supervisor"])
    client, admin = enter("shortly"), enter("root")
    assert client.get("/board").url.path == "/board"
    admin.post("/admin/accounts/shortly", data={"csrf": admin.csrf, "disabled": "yes"})
    assert client.get("/board").url.path == "/sign-in"


def test_an_admin_cannot_lock_themselves_out(enter):
    client = enter("root")
    answer = client.post("/admin/accounts/root", data={"csrf": client.csrf, "disabled": "yes"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        ("kato", "/board", 403), ("kato", "/reports", 403), ("kato", "/admin", 403), ("hayashi", "/board", 403),
        ("lee", "/admin", 403), ("lee", "/board", 403), ("otto", "/admin/audit", 200), ("sato", "/admin", 403),
        ("sato", "/board", 200), ("hayashi", "/cases", 200),
    ],
)  # fmt: skip
def test_pages_ask_for_rights(enter, name, path, status):
    assert enter(name).get(path).status_code == status


def test_language_follows_the_browser_and_the_switch(house):
    with httpx.Client(base_url=house.url, headers={"accept-language": "ja"}, follow_redirects=True) as client:
        assert "サインイン" in client.get("/sign-in").text
        page = client.post("/language", data={"language": "en", "after": "/sign-in"})
        assert "Sign in" in page.text and '<html lang="en"' in page.text
