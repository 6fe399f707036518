"""Rights: what each role may, inside its scope and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callguard.access import DEFAULT_RIGHTS, Answer, Person, Role, Scope, Thing, Verb, may, rights_under
from callguard.access.may import EVERYWHERE
from callguard.model.policy import Rights

NAMES = st.sampled_from(["sales", "support", "billing"])
PEOPLE = st.builds(
    Person,
    name=st.just("kana"),
    roles=st.frozensets(st.sampled_from(Role)),
    scope=st.builds(Scope, queues=st.none() | st.frozensets(NAMES), teams=st.none() | st.frozensets(NAMES)),
    agent=st.sampled_from(["", "PJSIP/100"]),
    only=st.none() | st.frozensets(st.sampled_from(Verb)),
)
THINGS = st.builds(Thing, queue=NAMES, team=st.just("") | NAMES, agent=st.sampled_from(["", "PJSIP/100", "PJSIP/200"]))


def one(*roles, scope=EVERYWHERE, agent="", name="kana"):
    return Person(name=name, roles=frozenset(roles), scope=scope, agent=agent)


@given(person=PEOPLE, verb=st.sampled_from(Verb), thing=THINGS)
def test_a_yes_about_a_thing_is_a_yes_somewhere(person, verb, thing):
    if may(person, verb, thing):
        assert may(person, verb)
        assert person.only is None or verb in person.only
        assert any(verb in DEFAULT_RIGHTS[role] for role in person.roles)


@given(person=PEOPLE, verb=st.sampled_from(Verb), thing=THINGS)
def test_outside_the_queues_only_ones_own(person, verb, thing):
    queues = person.scope.queues
    if queues is not None and thing.queue not in queues and may(person, verb, thing):
        assert Role.AGENT in person.roles and person.agent == thing.agent


def test_an_admin_hears_nobody():
    for verb in (Verb.LISTEN, Verb.PLAY, Verb.SEE_CASES, Verb.EXPORT, Verb.DECIDE, Verb.SEE_CALLER):
        assert may(one(Role.ADMIN), verb) is Answer.NO_RIGHT


def test_an_agent_sees_their_own_cases_and_no_other():
    agent = one(Role.AGENT, agent="PJSIP/100")
    assert may(agent, Verb.PLAY, Thing(queue="sales", agent="PJSIP/100"))
    assert may(agent, Verb.PLAY, Thing(queue="sales", agent="PJSIP/200")) is Answer.OUT_OF_SCOPE
    assert may(one(Role.AGENT), Verb.PLAY, Thing(queue="sales", agent="")) is Answer.OUT_OF_SCOPE


@pytest.mark.parametrize(
    ("scope", "thing", "answer"),
    [
        (Scope(queues=frozenset({"sales"}), teams=None), Thing(queue="sales", team="a"), Answer.YES),
        (Scope(queues=frozenset({"sales"}), teams=None), Thing(queue="support"), Answer.OUT_OF_SCOPE),
        (Scope(queues=None, teams=frozenset({"a"})), Thing(queue="sales", team="b"), Answer.OUT_OF_SCOPE),
        (Scope(queues=None, teams=frozenset({"a"})), Thing(queue="sales"), Answer.OUT_OF_SCOPE),
        (Scope(queues=frozenset(), teams=None), Thing(queue="sales"), Answer.OUT_OF_SCOPE),
    ],
)
def test_a_supervisor_reaches_their_queues_and_teams(scope, thing, answer):
    assert may(one(Role.SUPERVISOR, scope=scope), Verb.LISTEN, thing) is answer


def test_a_second_opinion_and_a_release_come_from_somebody_else():
    kana, ken = one(Role.REVIEWER), one(Role.REVIEWER, name="ken")
    judged = Thing(queue="sales", judged_by=frozenset({"kana"}), held_by=frozenset({"kana"}))
    assert may(kana, Verb.SECOND, judged) is Answer.NOT_ONESELF
    assert may(ken, Verb.SECOND, judged)
    assert may(kana, Verb.RELEASE, judged) is Answer.NOT_ONESELF
    assert may(ken, Verb.RELEASE, judged)


def test_nobody_judges_their_own_call():
    both = one(Role.REVIEWER, Role.AGENT, agent="PJSIP/100")
    assert may(both, Verb.DECIDE, Thing(queue="sales", agent="PJSIP/100")) is Answer.NOT_ONESELF


def test_a_policy_says_who_listens_and_decides():
    rights = rights_under(Rights(listen=("reviewer",), decide=("supervisor",)))
    assert may(one(Role.REVIEWER), Verb.LISTEN, rights=rights)
    assert may(one(Role.SUPERVISOR), Verb.LISTEN, rights=rights) is Answer.NO_RIGHT
    assert may(one(Role.SUPERVISOR), Verb.DECIDE, rights=rights)
    assert may(one(Role.SUPERVISOR), Verb.SEE_BOARD, rights=rights)


def test_the_shipped_rights_of_a_policy_are_the_default_ones():
    assert rights_under(Rights()) == DEFAULT_RIGHTS


def test_an_agent_who_also_supervises_sees_their_own_case_in_another_queue():
    both = one(Role.SUPERVISOR, Role.AGENT, agent="PJSIP/100", scope=Scope(queues=frozenset({"sales"}), teams=None))
    assert may(both, Verb.PLAY, Thing(queue="support", agent="PJSIP/100"))
    assert may(both, Verb.LISTEN, Thing(queue="support", agent="PJSIP/100")) is Answer.OUT_OF_SCOPE
