"""The shipped English rules: what is meant, of whom, by whom."""

from __future__ import annotations

import pytest

from callguard.detect.find import SOUND_DISCOUNT, find
from callguard.detect.rules import RuleSet
from callguard.detect.verdict import Judgement, judge_text
from callguard.model.finding import Category
from callguard.model.ids import Role
from callguard.policyfile import load_policy, load_rules
from callguard.shipped import shipped


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules(load_policy(shipped("policies/en.toml")))


def harassing(text: str, rules: RuleSet) -> bool:
    return judge_text(text, "en", rules).verdict is Judgement.HARASSMENT


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("you are a moron", Category.VERBAL_ABUSE),
        ("YOU'RE ALL MORONS", Category.VERBAL_ABUSE),
        ("youre such a bloody moron", Category.VERBAL_ABUSE),
        ("i am gonna break your legs", Category.THREAT),
        ("I'll stab you", Category.THREAT),
        ("i know where you live", Category.THREAT),
        ("i will post your name on facebook", Category.SNS_THREAT),
        ("get down on your knees and apologise", Category.EXCESSIVE_DEMAND),
        ("get down on your knees and apologize", Category.EXCESSIVE_DEMAND),
        ("do you know who i am", Category.AUTHORITY),
        ("are you wearing a thong darling", Category.SEXUAL),
        ("go back to your own country", Category.DISCRIMINATION),
        ("give me your home address", Category.PRIVACY),
        ("don't you dare hang up on me", Category.RESTRAINT),
    ],
)
def test_each_kind_is_found_whatever_the_spelling(said: str, kind: Category, rules: RuleSet) -> None:
    assert kind in judge_text(said, "en", rules).kinds


@pytest.mark.parametrize(
    ("harmless", "harassment"),
    [
        ("your driver called me an idiot", "you are an idiot"),
        ("he said he would kill me and your driver laughed", "i will kill you"),
        ("i am so stupid i forgot the number", "you are so stupid"),
        ("this product is useless", "you are useless"),
        ("this machine is a complete piece of garbage", "you are a complete piece of garbage"),
        ("my name is jim moron", "listen you moron"),
        ("i could kill for a coffee", "i could kill you"),
        ("i'd shoot an email over to you", "i'd shoot you"),
        ("i am not saying you are stupid", "i am saying you are stupid"),
        ("if you don't refund me i will complain to the ombudsman", "if you don't refund me i will break your arm"),
        ("if you can't sort it out i will leave a bad review", "if you can't sort it out i will burn your office"),
        ("i was refused because i am black", "i don't want to talk to blacks"),
        ("why can't you people get it right for once", "you people stink"),
        ("give me your name for my complaint please", "give me your name and home address"),
        ("what time do you close tonight", "what time do you leave work tonight i will be waiting outside"),
        ("can i pay you a visit at the showroom", "my brothers will pay you a visit"),
    ],
)
def test_decoys_pass_and_the_same_words_meant_are_found(harmless: str, harassment: str, rules: RuleSet) -> None:
    assert judge_text(harmless, "en", rules).verdict is Judgement.NONE
    assert harassing(harassment, rules)


def test_an_angry_proper_complaint_passes(rules: RuleSet) -> None:
    said = "this is the third time, I'm absolutely furious, your service is a disgrace, I want my money back"
    assert judge_text(said, "en", rules).verdict is Judgement.NONE
    assert judge_text(said.replace(",", ""), "en", rules).verdict is Judgement.NONE


def test_words_that_only_sound_alike_count_for_less(rules: RuleSet) -> None:
    spoken = rules.languages["en"]
    (exact,) = find("you are a moron", spoken)
    (alike,) = find("you are a more on", spoken)
    assert alike.score == pytest.approx(exact.score * SOUND_DISCOUNT)


def test_what_the_agent_says_is_not_judged_as_the_callers(rules: RuleSet) -> None:
    assert find("you are a moron", rules.languages["en"], role=Role.AGENT) == []


@pytest.mark.parametrize("said", ["i will use this knife on myself", "i want to die", "she is not breathing"])
def test_care_comes_before_harassment(said: str, rules: RuleSet) -> None:
    assert judge_text(f"you idiot {said}", "en", rules).verdict is Judgement.CARE


def test_a_weapon_against_others_is_a_threat_and_no_call_for_care(rules: RuleSet) -> None:
    assert Category.THREAT in judge_text("i have a knife and i will use it on you", "en", rules).kinds


@pytest.mark.parametrize(
    "said",
    [
        "i hope you have a heart attack on the way home",
        "the last man who lied to me is still in a wheelchair, so think on",
        "are you having a stroke or are you always this slow",
        "get off the phone and go and jump off a bridge",
    ],
)
def test_a_grave_word_flung_at_the_agent_is_no_call_for_care(said: str, rules: RuleSet) -> None:
    assert harassing(said, rules)


@pytest.mark.parametrize(
    "said",
    [
        "i hope you can help, my husband has had a heart attack",
        "you lot left me on hold and i am having a stroke",
        "i am on the bridge now and i am going to jump",
        "do you have a hearing loop, i am deaf",
        "i will need you to send an ambulance",
        "you have to listen, he has taken an overdose",
        "are you still there, my wife is unconscious",
        "you people, my mother is in a wheelchair and cannot get in",
    ],
)
def test_the_callers_own_grave_word_stays_a_call_for_care(said: str, rules: RuleSet) -> None:
    assert judge_text(said, "en", rules).verdict is Judgement.CARE


@pytest.mark.parametrize(
    "said",
    [
        "I want £10,000 for the stress, and I want it now",
        "I want 10000 pounds for the stress, and I want it now",
        "Put £500 in my account or I post one-star reviews on every branch you've got",
    ],
)
def test_a_sum_counts_however_it_is_written(said: str, rules: RuleSet) -> None:
    assert judge_text(said, "en", rules).verdict is Judgement.HARASSMENT


@pytest.mark.parametrize(
    "said",
    [
        "I want my £500 back or I will go to the ombudsman",
        "If the $2,000 is not in my account by Friday I am seeing a solicitor",
        "If you don't pay up I am consulting a lawyer, simple as that",
        "We have 100 people waiting for this delivery, where is it?",
        "I want £200 compensation for the four days without hot water, as your charter says",
    ],
)
def test_a_sum_in_a_proper_complaint_passes(said: str, rules: RuleSet) -> None:
    assert judge_text(said, "en", rules).verdict is Judgement.NONE


@pytest.mark.parametrize(
    "said",
    [
        "What time do you finish? I want to ring back",
        "What time do you finish today? I'd like to ring back once I've found the letter",
        "I'll ring every day until I get my refund",
        "You're welcome to keep the parcel on the floor, I won't be here after five",
        "I don't see the point of paying for this any more",
        "You poor thing, is it always this busy?",
    ],
)
def test_ringing_back_and_plain_talk_near_grave_words_pass(said: str, rules: RuleSet) -> None:
    assert judge_text(said, "en", rules).verdict is Judgement.NONE


@pytest.mark.parametrize(
    "said",
    [
        "I don't see the point any more",
        "it'll all be over soon for me",
        "I want to leave everything tidy, I won't be here after the weekend",
        "my mum's face has gone droopy on one side",
        "I can't talk, he's in the next room",
    ],
)
def test_care_in_quiet_words_is_found(said: str, rules: RuleSet) -> None:
    assert judge_text(said, "en", rules).verdict is Judgement.CARE


@pytest.mark.parametrize(
    "said",
    [
        "are you all right in the head, love",
        "the last man who crossed me is still learning to walk again",
        "I'll ring every day until you cry",
        "do everyone a favour and don't wake up tomorrow",
    ],
)
def test_insults_in_care_words_and_threats_by_example_are_found(said: str, rules: RuleSet) -> None:
    assert judge_text(said, "en", rules).verdict is Judgement.HARASSMENT


@pytest.mark.parametrize(
    "said",
    [
        "Sorry about that. That was the kids. Shut up P2. I'm on the phone. Right. Go on. Love. You were saying.",
        "Will you two shut up! I'm on the phone. Sorry about that, carry on.",
        "Get off the sofa you stupid dog. Sorry, not you.",
        "I was dying of embarrassment having to ring up twice",
        "I'm dying for a cup of tea, can we be quick",
        "I'll be leaving an honest review and trust Blot and it won't be a good one",
        "charged me 400 quid for a scratch that was there when I picked it up, I want it back",
        "Sorry, say that again, louder, I'm in the car",
        "Is this the best time you could get me? I need an earlier slot",
        "I can wait in the car park until you've got it ready",
        "no wonder you're getting 51 star reviews a week",
        "I've found a home for the dog, so please cancel the pet insurance",
    ],
)
def test_asides_idioms_and_fair_claims_pass(said: str, rules: RuleSet) -> None:
    assert judge_text(said, "en", rules).verdict is Judgement.NONE


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Shut up. I've heard enough of your lies", Category.VERBAL_ABUSE),
        ("no you silly mare that's the wrong number", Category.VERBAL_ABUSE),
        ("Repeat after me, I am a useless little man", Category.EXCESSIVE_DEMAND),
        ("You finish at ten, don't you? It's a lonely walk to the bus stop in the dark", Category.THREAT),
        ("Pity if your little ones paid for your mistake", Category.THREAT),
        ("A tap that drips has to be worth a new bathroom", Category.EXCESSIVE_DEMAND),
        ("I'd hate your name to crop up when I lunch with your chairman", Category.AUTHORITY),
        ("One phone call, that's all, and a career like yours just ends", Category.AUTHORITY),
        ("Why would anyone put a stammerer on the phones?", Category.DISCRIMINATION),
        ("Which end of town do you go home to?", Category.PRIVACY),
        ("give me the free upgrade where you're getting 51 star reviews by tonight", Category.SNS_THREAT),
    ],
)
def test_families_said_in_many_ways_are_found(said: str, kind: Category, rules: RuleSet) -> None:
    assert kind in judge_text(said, "en", rules).kinds


@pytest.mark.parametrize(
    "said",
    [
        "Hello, this is a really call. I'm typing for a death customer so there will be pauses",
        "he's got dementia, he'll ask you the same thing again and again",
        "My wife's gone a horrible blue colour and won't answer me",
        "Please close all my accounts, nobody will be needing me after this weekend",
    ],
)
def test_care_as_a_recognizer_or_a_worried_voice_gives_it_is_found(said: str, rules: RuleSet) -> None:
    assert judge_text(said, "en", rules).verdict is Judgement.CARE
