"""Signing in through an identity provider: a small one over real HTTP that signs real tokens, honest or not."""

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import world
from conftest import House, signed_in
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from pydantic import SecretStr

CLIENT, SECRET = "desk", "between the two of us"


class Provider:
    """What it says can be bent: claims that replace its own, another key, another answer to the code."""

    def __init__(self):
        self.key = ECKey.generate_key("P-256", parameters={"kid": "one"})
        self.signs_with, self.alg, self.claims, self.asked, self.fails = self.key, "ES256", {}, {}, False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _handler(provider):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def _answer(self, told, status=200):
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(told).encode())

            def do_GET(self):
                if self.path.endswith("openid-configuration"):
                    ends = {name: f"{provider.url}/{name}" for name in ("authorize", "token", "keys")}
                    self._answer(
                        {
                            "issuer": provider.url,
                            "authorization_endpoint": ends["authorize"],
                            "token_endpoint": ends["token"],
                            "jwks_uri": ends["keys"],
                        }
                    )
                else:
                    self._answer({"keys": [provider.key.as_dict(private=False)]})

            def do_POST(self):
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                self._answer(*provider.token({key: value[0] for key, value in form.items()}, self.headers))

        return Handler

    def token(self, form, headers):
        """The code is good once, for whoever holds the verifier and the secret."""
        right = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        proof = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=")
        if self.fails or headers["authorization"] != right or proof.decode() != self.asked.get("code_challenge"):
            return {"error": "invalid_grant"}, 400
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "1",
            "iat": int(time.time()),
            "exp": int(time.time()) + 60,
            "nonce": self.asked["nonce"],
            "preferred_username": "mori",
        } | self.claims
        token = jwt.encode({"alg": self.alg, "kid": "one"}, claims, self.signs_with, algorithms=[self.alg])
        return {"access_token": "x", "token_type": "Bearer", "id_token": token}, 200

    def visit(self, address):
        """The browser is at the provider, who knows its user: what it is sent back with."""
        self.asked = {key: value[0] for key, value in parse_qs(urlsplit(address).query).items()}
        return {"code": "abc", "state": self.asked["state"]}


@pytest.fixture
def provider():
    one = Provider()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def desk(provider, tmp_path):
    oidc = {"issuer": provider.url, "client_id": CLIENT, "secret": SecretStr(SECRET), "label": "House account"}
    house = House(tmp_path, bus=False, oidc=oidc).start()
    world.add_people(house.desk.accounts)
    house.browsers = []
    yield house
    for browser in house.browsers:
        browser.close()
    house.stop()


def come_back(desk, provider, **bent):
    """A browser goes to the provider and comes back; what it got, and the browser."""
    browser = httpx.Client(base_url=desk.url, timeout=20)
    desk.browsers.append(browser)
    sent = browser.get("/sign-in/provider", params={"after": "/cases?page=1"})
    assert sent.status_code == 303, sent.text[:300]
    return browser.get("/sign-in/back", params=provider.visit(sent.headers["location"]) | bent), browser


def verbs(desk):
    return [line.verb for line in desk.store.audit_lines()]


def test_who_the_provider_vouches_for_is_let_in(desk, provider):
    page = httpx.get(desk.url + "/sign-in").text
    assert "House account" in page
    back, browser = come_back(desk, provider)
    assert (back.status_code, back.headers["location"]) == (303, "/cases?page=1")
    assert browser.get("/account").status_code == 200
    assert provider.asked["code_challenge_method"] == "S256" and "openid" in provider.asked["scope"]
    assert "sign-in" in verbs(desk)


@pytest.mark.parametrize(
    "bent",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another"},
        {"nonce": "of another browser"},
        {"exp": 1},
        {"preferred_username": ""},
        {"preferred_username": ["mori"]},
        {"preferred_username": "nobody-here"},
        {"azp": "another"},
        {"email_verified": False},
    ],
)
def test_a_word_that_does_not_hold_opens_nothing(desk, provider, bent):
    provider.claims = bent
    back, browser = come_back(desk, provider)
    assert back.status_code == 401
    assert browser.get("/account").status_code == 303
    assert "sign-in-refused" in verbs(desk) and "sign-in" not in verbs(desk)


def test_a_token_of_another_key_or_of_a_shared_secret_opens_nothing(desk, provider):
    provider.signs_with = ECKey.generate_key("P-256", parameters={"kid": "one"})
    assert come_back(desk, provider)[0].status_code == 401
    provider.signs_with, provider.alg = OctKey.import_key(SECRET.ljust(32), {"kid": "one"}), "HS256"
    assert come_back(desk, provider)[0].status_code == 401


def test_an_answer_for_another_browser_opens_nothing(desk, provider):
    """Somebody is given the address that somebody else came back with."""
    assert come_back(desk, provider, state="stolen")[0].status_code == 401
    assert httpx.get(desk.url + "/sign-in/back", params={"code": "abc", "state": "x"}).status_code == 401


def test_a_disabled_account_stays_out(desk, provider):
    desk.desk.accounts.change("mori", disabled=True)
    assert come_back(desk, provider)[0].status_code == 401


def test_a_provider_that_is_away_is_said_so_and_passwords_go_on(desk, provider):
    provider.fails = True
    assert come_back(desk, provider)[0].status_code == 401
    provider.server.shutdown()
    provider.server.server_close()
    sent = httpx.get(desk.url + "/sign-in/provider", timeout=20)
    assert sent.status_code == 502 and "identity provider" in sent.text
    desk.browsers.append(signed_in(desk, "mori"))
    assert desk.browsers[-1].get("/account").status_code == 200


def test_where_no_provider_is_set_there_is_no_such_door(house):
    assert "/sign-in/provider" not in httpx.get(house.url + "/sign-in").text
    assert httpx.get(house.url + "/sign-in/provider").status_code == 502
