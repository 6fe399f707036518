"""Doors of the desk: passwords, lock-out, sign-ins that can be ended, tokens."""

from datetime import UTC, datetime, timedelta

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from callguard.model.errors import Refused
from callguard.store.accounts import MOST_PER_HOST, MOST_PER_NAME, Accounts
from callguard.store.opening import open_store

GOOD = "correct horse battery"


class Clock:
    def __init__(self):
        self.at = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/desk.db", segments=tmp_path / "segments")
    yield store.engine
    store.close()


@pytest.fixture
def accounts(engine, clock):
    made = Accounts(engine, now=clock, argon=PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    made.add("kana", GOOD, roles=["reviewer"], queues=["sales"])
    return made


def wrong(accounts, name="kana", host="192.0.2.1"):
    with pytest.raises(Refused) as caught:
        accounts.check(name, "not this one at all", host=host)
    return caught.value.code


def test_the_right_password_opens_and_scope_is_kept(accounts):
    account = accounts.check("kana", GOOD, host="192.0.2.1")
    assert account.roles == ("reviewer",) and account.queues == ("sales",) and account.teams is None


def test_unknown_name_and_wrong_password_sound_the_same(accounts):
    assert wrong(accounts) == wrong(accounts, name="nobody") == "sign-in-wrong"


def test_after_five_wrong_ones_even_the_right_one_waits(accounts, clock):
    for _ in range(MOST_PER_NAME):
        assert wrong(accounts) == "sign-in-wrong"
    assert wrong(accounts, host="198.51.100.7") == "sign-in-locked"
    with pytest.raises(Refused, match="too many"):
        accounts.check("kana", GOOD, host="192.0.2.1")
    clock.at += timedelta(minutes=16)
    assert accounts.check("kana", GOOD, host="192.0.2.1").name == "kana"


def test_an_address_that_tries_many_names_is_locked(accounts):
    for number in range(MOST_PER_HOST):
        assert wrong(accounts, name=f"guess{number}") == "sign-in-wrong"
    with pytest.raises(Refused) as caught:
        accounts.check("kana", GOOD, host="192.0.2.1")
    assert caught.value.code == "sign-in-locked"
    assert accounts.check("kana", GOOD, host="192.0.2.2").name == "kana"


def test_a_sign_in_ends_by_time_by_revocation_and_with_its_account(accounts, clock):
    first, _ = accounts.open("kana", host="h", browser="b", hours=1)
    second, row = accounts.open("kana", host="h", browser="b", hours=9)
    assert accounts.signed_in(first) and accounts.signed_in(second)
    clock.at += timedelta(hours=2)
    assert accounts.signed_in(first) is None and accounts.signed_in(second)
    assert not accounts.revoke(row.id, user="somebody-else")
    assert accounts.revoke(row.id, user="kana")
    assert accounts.signed_in(second) is None
    third, _ = accounts.open("kana", host="h", browser="b", hours=9)
    accounts.change("kana", disabled=True)
    assert accounts.signed_in(third) is None
    accounts.change("kana", disabled=False)
    assert accounts.signed_in(third) is None


def test_a_new_password_ends_the_other_sign_ins(accounts):
    mine, row = accounts.open("kana", host="h", browser="b", hours=1)
    other, _ = accounts.open("kana", host="h2", browser="b", hours=1)
    accounts.set_password("kana", "another good long one", keep=row.id)
    assert accounts.signed_in(mine) and accounts.signed_in(other) is None
    with pytest.raises(Refused):
        accounts.check("kana", GOOD, host="192.0.2.1")


def test_tokens_open_until_they_are_over(accounts, clock):
    text_, token = accounts.make_token("kana", name="wallboard", verbs=["see-board"], days=1)
    found = accounts.token(text_)
    assert found is not None and found[1].verbs == ("see-board",)
    assert accounts.token(text_ + "x") is None
    clock.at += timedelta(days=2)
    assert accounts.token(text_) is None
    again, token = accounts.make_token("kana", name="wallboard", verbs=["see-board"])
    assert accounts.revoke_token(token.id) and accounts.token(again) is None


def test_nothing_that_opens_a_door_is_in_the_database(accounts, engine):
    cookie, _ = accounts.open("kana", host="h", browser="b", hours=1)
    token, _ = accounts.make_token("kana", name="t", verbs=[])
    with engine.connect() as link:
        kept = "".join(
            repr(row)
            for table in ("desk_users", "desk_sessions", "desk_tokens")
            for row in link.execute(text(f"select * from {table}"))
        )
    assert GOOD not in kept and cookie not in kept and token not in kept and "$argon2id$" in kept


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaa", "password1234567", "kana.sato.kana.sato"])
def test_weak_passwords_are_refused(accounts, password):
    with pytest.raises(Refused) as caught:
        accounts.add("kana.sato.kana.sato", password, roles=["agent"])
    assert caught.value.code == "password-weak"


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "<script>", "a\nb", "../x"])
def test_names_that_are_no_names_are_refused(accounts, name):
    with pytest.raises(Refused) as caught:
        accounts.add(name, GOOD, roles=["agent"])
    assert caught.value.code == "name-wrong"
