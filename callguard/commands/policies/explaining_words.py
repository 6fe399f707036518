"""The words of the policy page in Japanese; English is the key itself, or stands beside it."""

from __future__ import annotations

_WORDS: dict[str, tuple[str, str]] = {
    "mode observe": ("shows and records; nothing is done by itself", "表示と記録だけ。自動では何もしない"),
    "mode assist": ("asks a person before every measure", "措置の前に必ず人に尋ねる"),
    "mode act": ("takes the measures of the ladder by itself", "段階に沿って自動で措置を行う"),
    "key flag": ("keep the evidence", "証拠を残す"),
    "key unflag": ("take back a flag pressed by mistake", "誤って押した旗を取り消す"),
    "key warn": ("the caller hears the next warning", "次の警告を流す"),
    "key handover": ("hand the caller over", "引き継ぐ"),
    "key help": ("call a supervisor, quietly", "静かに責任者を呼ぶ"),
    "key end": ("closing message, then end", "終わりの案内を流して切る"),
    "key why": ("say why the last key was refused", "押したキーが断られた理由を聞く"),
    "after at least": ("{seconds} s or more after the one before", "前の警告から{seconds}秒以上あけて"),
    "must approve": ("{who} must approve, each within {seconds} s", "{who}の承認が要る(それぞれ{seconds}秒以内)"),
    "measure warn": ("suggests a warning", "警告を勧める"),
    "measure flag": ("suggests a flag", "旗を勧める"),
    "measure show": ("is shown", "表示する"),
    "evidence": (
        "{measure}: {count} of severity {severity} or more within {seconds} s, sureness {score} or more, {kinds}",
        "{measure}: {seconds}秒のうちに重さ{severity}以上が{count}回、確からしさ{score}以上、種類は{kinds}",
    ),
    "limit": (
        "{minutes} min; told {before} min before by {announcement}; {ends}",
        "{minutes}分。{before}分前に{announcement}で伝える。{ends}",
    ),
    "repeat": (
        "told from {count} earlier calls in {days} days on; goes to {route}; begins at rung {rung} at most",
        "{days}日に{count}回以上で知らせる。行き先は{route}。段階は最大{rung}から始める",
    ),
    "end at severity": ("allowed at severity {severity} (0: never)", "重さ{severity}で許す(0は許さない)"),
    "rest": ("between {least} s and {most} s, taken back by the agent", "{least}秒から{most}秒。本人が終えられる"),
    "rules": ("{count} rules", "規則{count}個"),
    "learned": (
        "what labelled sentences taught: {count} pieces of speech weighed; severity 2 at most by itself",
        "ラベル付きの文から学んだもの: 言葉の断片{count}個の重み。単独では重さ2まで",
    ),
}

_JAPANESE = {
    "General": "全体",
    "Keys of the agent": "担当者のキー",
    "Warnings": "警告",
    "Enough evidence": "十分な証拠",
    "Limits of time and repeated calls": "時間の上限と繰り返し",
    "Ending and handing over": "終了と引き継ぎ",
    "Where no measure is taken": "措置をとらない場合",
    "Keeping": "保存",
    "Rest": "休み",
    "Who may": "できる人",
    "Rules": "規則",
    "name": "名前",
    "mode": "動き方",
    "languages": "言語",
    "version (hash)": "版(ハッシュ)",
    "queue": "キュー",
    "source": "出典",
    "the agent's key is enough": "担当者のキーだけでよい",
    "may play by itself in mode act": "actでは自動で流れることがある",
    "any kind": "すべて",
    "then the end key is allowed": "その後は終了キーを使える",
    "the call goes on": "通話は続く",
    "the usual queue": "いつものキュー",
    "repeated calls": "繰り返しの電話",
    "closing message": "終わりの案内",
    "the end key before the last warning": "最後の警告より前の終了キー",
    "ends by itself": "自動で切る",
    "approval": "承認",
    "hand-over goes to": "引き継ぎ先",
    "allowed destinations": "許される行き先",
    "approval of a hand-over": "引き継ぎの承認",
    "nowhere": "なし",
    "life at risk, disability, relay": "命の危険、障害、電話リレー",
    "always: a human is called at once": "つねに。すぐに人を呼ぶ",
    "protected numbers": "保護する番号",
    "protected queues": "保護するキュー",
    "relay numbers": "リレーの番号",
    "the whole call": "通話の全体",
    "to the end of the call": "通話の終わりまで",
    "days": "日",
    "sound before the flag": "旗より前の音",
    "sound after the flag": "旗より後の音",
    "recording notice": "録音の案内",
    "kept for": "保存期間",
    "kept if dismissed": "却下されたとき",
    "after a flag": "旗のあと",
    "may listen": "聴く",
    "may whisper": "ささやく",
    "may barge": "割って入る",
    "may decide": "判断する",
    "may export": "書き出す",
    "may hold": "保全する",
    "switched off": "切ってある規則",
    "yes": "はい",
    "no": "いいえ",
}


def said(words: str, language: str) -> str:
    """The words in this language; English where none are known."""
    known = _WORDS.get(words)
    if known is not None:
        return known[1] if language == "ja" else known[0]
    return _JAPANESE.get(words, words) if language == "ja" else words
