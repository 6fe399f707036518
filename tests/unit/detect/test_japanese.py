"""The shipped Japanese rules: what is meant, of whom, by whom; however it is written."""

from __future__ import annotations

import pytest

from callguard.detect.japanese import JapaneseWords
from callguard.detect.pattern import parse
from callguard.detect.rules import RuleSet, compile_rules, merge_tables
from callguard.detect.verdict import Judgement, judge_text
from callguard.model.errors import SettingsError
from callguard.model.finding import Category
from callguard.policyfile import load_policy, load_rules
from callguard.shipped import shipped


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules(load_policy(shipped("policies/ja.toml")))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("お前は本当に馬鹿だな", Category.VERBAL_ABUSE),
        ("おまえはほんとうにバカだな", Category.VERBAL_ABUSE),
        ("オマエハホントウニばかダナ", Category.VERBAL_ABUSE),
        ("ぶん殴ってやるからな", Category.THREAT),
        ("ブン殴ってやるからな", Category.THREAT),
        ("お前の名前をネットに晒すぞ", Category.SNS_THREAT),
        ("今すぐここに来て土下座しろ", Category.EXCESSIVE_DEMAND),
        ("俺を誰だと思っているんだ", Category.AUTHORITY),
        ("今日の下着は何色なの", Category.SEXUAL),
        ("外国人は電話に出るな", Category.DISCRIMINATION),
        ("お前の住所を教えろ", Category.PRIVACY),
        ("電話を切ったら承知しないぞ", Category.RESTRAINT),
    ],
)
def test_each_kind_is_found_however_it_is_written(said: str, kind: Category, rules: RuleSet) -> None:
    assert kind in judge_text(said, "ja", rules).kinds


@pytest.mark.parametrize(
    ("harmless", "harassment"),
    [
        ("店員さんに馬鹿と言われました", "お前は馬鹿だ"),
        ("私が馬鹿でした", "お前が馬鹿なんだ"),
        ("この機械はゴミだ", "お前はゴミだ"),
        ("こんなポンコツ、二度と買うか", "このポンコツ社員が"),
        ("刺身の包丁を返品したい", "包丁で刺しに行くぞ"),
        ("殺虫剤の使い方を教えてください", "お前を殺すぞ"),
        ("担当の方のお名前を教えてください", "お前の自宅の住所を言え"),
        ("消費者センターに相談します", "家まで行って殴るぞ"),
        ("毎月払っているのに、なぜ止まったんですか", "毎月いくら払ってやってると思ってるんだ"),
        ("ブラのサイズを交換したい", "君のブラのサイズは"),
        ("包丁を持って飛行機に乗れますか", "包丁持ってそっちの窓口に行くからな"),
        ("窓ガラスを割られました", "窓ガラス割ってやろうか"),
        ("返事をもらうまで待ちます", "返事をもらうまで切らせません"),
        ("主人の会社はどこに書けばいいですか", "旦那さんの会社はどこ"),
        ("小学生でもわかる資料をください", "小学生でもわかることがなぜわからないの"),
        ("土下座してほしいわけじゃないんです", "そこで土下座しなさい"),
        ("うちの旦那が、お前は何もできないなって言うてくるんです", "お前は何もできないな"),
        ("頭が悪いんで、もういっぺん言うてもらえます?", "頭が悪いな、もういっぺん言うたるわ"),
        ("土下座しろとか言ってるんじゃないんです、直してほしいんです", "土下座しろと言ってるんだ"),
        ("バカガイはありますか", "またこのバカがいるのか"),
        ("無料にしてくれたら契約するよ", "土下座してくれたら契約するよ"),
        ("このくそルーター、また止まった", "このくそ女、また出たのか"),
    ],
)
def test_decoys_pass_and_the_same_words_meant_are_found(harmless: str, harassment: str, rules: RuleSet) -> None:
    assert judge_text(harmless, "ja", rules).verdict is Judgement.NONE
    assert judge_text(harassment, "ja", rules).verdict is Judgement.HARASSMENT


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("おまえのいえにひをつけてやる", Judgement.HARASSMENT),
        ("はんせいぶんをひゃくまいかいてもってこい", Judgement.HARASSMENT),
        ("となりのへやからけむりがでてます、たすけて", Judgement.CARE),
        ("にゅうかいきゃんぺーんはこんげつまつまでですか", Judgement.NONE),
        ("ほんとうにはらがたってしかたがないです", Judgement.NONE),
    ],
)
def test_what_is_written_in_kana_alone_is_read_by_its_sound(said: str, verdict: Judgement, rules: RuleSet) -> None:
    assert judge_text(said, "ja", rules).verdict is verdict


def test_a_mould_takes_any_list_of_verbs() -> None:
    raw = merge_tables(
        [
            {
                "language": "ja",
                "lists": {"hit": {"kind": "verb", "words": ["殴る"]}, "burn": {"kind": "verb", "words": ["燃やす"]}},
                "frames": {"will": "{*.te} ( て | で ) やる | {*.masu} ます ( よ | から )"},
                "rule": [{"id": "t", "category": "threat", "any": ["<will:hit>", "<will:burn>"]}],
            }
        ]
    )
    made = compile_rules(raw)
    for said in ("殴ってやる", "殴りますよ", "燃やしてやる", "燃やしますから"):
        assert judge_text(said, "ja", made).verdict is Judgement.HARASSMENT
    assert judge_text("殴りました", "ja", made).verdict is Judgement.NONE


def test_a_mould_that_is_not_there_is_named() -> None:
    raw = merge_tables([{"language": "ja", "rule": [{"id": "t", "category": "threat", "any": ["<will:hit>"]}]}])
    with pytest.raises(SettingsError, match="<will:hit>"):
        compile_rules(raw)


def test_an_angry_proper_complaint_passes(rules: RuleSet) -> None:
    said = "もう三回目ですよ、本当に腹が立っています。今日中に全額返金してください"
    assert judge_text(said, "ja", rules).verdict is Judgement.NONE


@pytest.mark.parametrize(
    ("harmless", "grave"),
    [
        ("正座して待っていたら足がしびれました", "足がしびれて動けません"),
        ("チックインは何時", "チックが出て声が止まらないんです"),
        ("心臓が止まるかと思いましたよ", "心臓が止まりそうです"),
        ("窓から日が出ているのが見えますか", "大所から日が出てるんです どうしたらいいですか 煙がすごくて"),
        ("部屋のランプが赤く光っています", "台所のほうが、さっきから赤く明るいんです"),
    ],
)
def test_near_neighbours_of_a_call_for_care_pass(harmless: str, grave: str, rules: RuleSet) -> None:
    assert judge_text(harmless, "ja", rules).verdict is Judgement.NONE
    assert judge_text(grave, "ja", rules).verdict is Judgement.CARE


def test_care_is_told_from_an_attack_with_the_same_words(rules: RuleSet) -> None:
    assert judge_text("もう死にたいです", "ja", rules).verdict is Judgement.CARE
    assert judge_text("お前なんか死ね", "ja", rules).verdict is Judgement.HARASSMENT


@pytest.mark.parametrize(
    ("source", "text", "found"),
    [
        ("馬鹿 お前", "馬鹿お前", [(0, 4)]),
        ("馬鹿 お前", "馬鹿。お前", []),
        ("馬鹿 ..4 お前", "馬鹿だ!お前", []),
        ("馬鹿 。 お前", "馬鹿。お前", [(0, 5)]),
        ("馬鹿 ..2 。? ..2 お前", "馬鹿だ!?ねえお前", [(0, 8)]),
        ("馬鹿 お前", "馬鹿…お前", [(0, 4)]),
        ("馬鹿 お前", "馬鹿...お前", [(0, 4)]),
        ("1 5 倍", "1.5倍", [(0, 3)]),
        ("家 !の", "家。の", [(0, 1)]),
    ],
)
def test_a_pattern_ends_with_its_sentence_unless_it_names_the_stop(
    source: str, text: str, found: list[tuple[int, int]]
) -> None:
    assert spans(source, text) == found


@pytest.mark.parametrize(
    ("source", "text", "found"),
    [
        ("夫 ..9 困", "大丈夫です困りません", []),
        ("夫 ..9 困", "夫が困っています", [(0, 3)]),
        ("客 態度", "接客態度はよかった", []),
        ("議員 ..3 知", "市議会議員を知っている", [(3, 7)]),
        ("部屋 ..9 夫", "部屋は大丈夫です", []),
        ("大 丈夫", "大丈夫です", [(0, 3)]),
        ("ガキ", "機転がきかない", []),
        ("ガキ", "ガキが出てくるな", [(0, 2)]),
    ],
)
def test_a_match_and_what_follows_a_gap_begin_where_a_word_begins(
    source: str, text: str, found: list[tuple[int, int]]
) -> None:
    assert spans(source, text) == found


@pytest.mark.parametrize(
    ("harmless", "harassment"),
    [
        ("涼しげだし、また行きます", "しね"),
        ("全部食べられるしね", "お前なんか死ね"),
        ("部屋のゴミがそのまま残っていました", "ゴミが、黙ってろ"),
        ("駅から歩いて帰れる距離です", "歩いて帰れると思うなよ"),
        ("わからないのかもしれないですね", "わからないのかよ"),
        ("和室の方が好きかもしれません", "惚れたかも、お姉さん"),
        ("放置すると大変なことになりますよね", "痛い目に遭いますよ"),
        ("旅行に行きたいね、と毎年言っています", "お姉さんと旅行に行きたいな"),
        ("地獄みたいな暑さでした", "地獄を見せてやるぞ"),
        ("布団の中にいるので、ゆっくり話してください", "布団の中でゆっくり説明してもらいたいなあ"),
        ("返金するまで何度でも電話します", "返金するまで何度でもかけてやるからな"),
        ("なめてるのか、この納期は", "なめてるのか、お前は"),
        (
            "記者の友人に相談したら、取材したいと言っていました",
            "知り合いの記者に話したら記事にしたいって言ってましたよ、どうします?",
        ),
        ("妹さんの学校は知っています、うちの子と同じなので", "妹さんの学校も知っていますよ、通学路もね"),
        ("我ながらアホ", "アホか、お前は"),
        ("ほんと私ばかですよね", "ほんとばかですよね、あなた"),
        ("三日過ぎました", "このゴミカスが"),
        ("お前みたいなのがいると上司に言われました", "なんでお前みたいなのが採用されたんだ"),
    ],
)
def test_near_neighbours_of_an_attack_pass(harmless: str, harassment: str, rules: RuleSet) -> None:
    assert judge_text(harmless, "ja", rules).verdict is not Judgement.HARASSMENT
    assert judge_text(harassment, "ja", rules).verdict is Judgement.HARASSMENT


def spans(source: str, text: str) -> list[tuple[int, int]]:
    words = JapaneseWords()
    pattern = parse(source, {}, literal=words.literal, commonness=len, where="here")
    words.close()
    return pattern.spans(words.lattice(text, by_sound=False))


@pytest.mark.parametrize(
    ("harmless", "harassment"),
    [
        ("山本君の家はどこですか、届け物があるので", "君の家はどこ?遊びに行きたい"),
        ("担当は君島さんだそうです", "君はバカだ"),
        ("大丈夫ですか、刺されて怪我をしたと聞きました", "夫が刺されても知らないぞ"),
    ],
)
def test_a_kanji_counts_as_the_word_it_is(harmless: str, harassment: str, rules: RuleSet) -> None:
    assert judge_text(harmless, "ja", rules).verdict is not Judgement.HARASSMENT
    assert judge_text(harassment, "ja", rules).verdict is Judgement.HARASSMENT
