"""The sentences of ``callguard doctor``: what was looked at, what was seen. ``{places}`` are filled in."""

from __future__ import annotations

from collections.abc import Mapping

from callguard.observe.words import Words

TITLES: dict[str, Words] = {
    "settings": ("settings", "設定"),
    "policy": ("policy", "ポリシー"),
    "manager": ("manager account", "マネージャーアカウント"),
    "rights": ("manager rights", "マネージャー権限"),
    "events": ("manager events", "マネージャーイベント"),
    "version": ("Asterisk version", "Asterisk のバージョン"),
    "modules": ("Asterisk modules", "Asterisk モジュール"),
    "contexts": ("dialplan contexts", "ダイヤルプランのコンテキスト"),
    "destinations": ("hand-over destinations", "転送先"),
    "hooks": ("dialplan hooks", "ダイヤルプランの呼び出し"),
    "keys": ("agents' keys", "オペレーターのキー"),
    "caller": ("keys kept from callers", "お客様側のキー"),
    "tap": ("tap port", "タップ用ポート"),
    "model": ("speech model", "音声認識モデル"),
    "sounds": ("announcements", "案内音声"),
    "bus": ("Redis or Valkey", "Redis/Valkey"),
    "scripts": ("key script's settings", "キースクリプトの設定"),
    "daemon": ("daemon", "デーモン"),
    "store": ("case store", "保存先"),
    "disk": ("disk space", "ディスク容量"),
    "spool": ("spool folder", "スプールフォルダ"),
    "clock": ("clock", "時計"),
}
"""Name of a check -> its title."""

STATES: dict[str, Words] = {
    "ok": ("ok", "正常"),
    "warn": ("note", "注意"),
    "fail": ("WRONG", "異常"),
    "skip": ("not seen", "未確認"),
}

OTHERS: dict[str, Words] = {
    "into": ("into {where}:", "{where} に追加:"),
    "shell": ("type:", "実行:"),
    "sum": (
        "{fail} wrong, {warn} to note, {ok} fine, {skip} not seen",
        "異常 {fail}、注意 {warn}、正常 {ok}、未確認 {skip}",
    ),
}

SEEN: dict[str, Words] = {
    "settings-ok": ("Read from {files}.", "{files} を読み込みました。"),
    "settings-default": ("There is no settings file; the defaults hold.", "設定ファイルがないため、既定値を使います。"),
    "settings-bad": ("{text}", "{text}"),
    "policy-ok": ("Policy {policy}, mode {mode}.", "ポリシー {policy}、モード {mode}。"),
    "policy-other-keys": (
        "These queues' policies have other keys, but Asterisk has one map for all: {queues}.",
        "キューのポリシーでキーが異なりますが、Asterisk のキー設定は共通です: {queues}。",
    ),
    "policy-bad": ("{text}", "{text}"),
    "check-broke": ("This could not be looked at ({text}).", "確認できませんでした（{text}）。"),
    "needs-manager": ("Not looked at: Asterisk is not reached.", "Asterisk に接続できないため未確認です。"),
    "needs-policy": ("Not looked at: the policy cannot be read.", "ポリシーを読めないため未確認です。"),
    "manager-ok": ("Logged in as {username} at {address}.", "{address} に {username} でログインできました。"),
    "manager-refused": (
        "Asterisk at {address} refused {username}: wrong name or secret, or our address is not in its permit lines.",
        "{address} の Asterisk が {username} を拒否しました。名前、secret、permit を確認してください。",
    ),
    "manager-in-use": (
        "The daemon uses {username}, and Asterisk lets it in once. To look while the daemon runs, add {other}.",
        "デーモンが {username} を使用中です。稼働中に確認するには {other} を追加してください。",
    ),
    "manager-unreachable": (
        "Nothing answers at {address}: Asterisk is down, or its manager is not enabled there.",
        "{address} が応答しません。Asterisk が停止中か、マネージャーが無効です。",
    ),
    "manager-odd": ("The manager at {address} failed: {text}", "{address} のマネージャーで問題: {text}"),
    "rights-ok": ("The account may do all that callguard does, and no more.", "必要な権限だけがあります。"),
    "rights-missing": ("The account may not {actions}.", "アカウントに {actions} の権限がありません。"),
    "rights-broad": (
        "The account may also {actions}; callguard does not need that.",
        "アカウントに不要な権限（{actions}）があります。",
    ),
    "rights-unseen": ("Asterisk does not say what the account may do.", "アカウントの権限を確認できません。"),
    "events-ok": ("The account is told all it needs.", "必要なイベントをすべて受け取れます。"),
    "events-missing": (
        "The account is not told {classes} events.",
        "アカウントが {classes} のイベントを受け取れません。",
    ),
    "events-unseen": (
        "The account's read line is not in manager.conf as this Asterisk reads it.",
        "manager.conf にこのアカウントの read 行が見つかりません。",
    ),
    "version-ok": ("Asterisk {version}.", "Asterisk {version}。"),
    "version-old": (
        "Asterisk {version} is too old: 20 or newer is needed.",
        "Asterisk {version} は古すぎます。20 以降が必要です。",
    ),
    "version-unseen": (
        "Asterisk's version is not known ({version}).",
        "Asterisk のバージョンが不明です（{version}）。",
    ),
    "version-trouble": ("Asterisk {version}: {text}", "Asterisk {version}: {text}"),
    "modules-ok": ("All {count} modules are loaded.", "{count} 個のモジュールがすべて読み込まれています。"),
    "module-missing": ("Asterisk has not loaded: {modules}.", "Asterisk に読み込まれていません: {modules}。"),
    "modules-unseen": ("Asterisk does not say which modules are loaded.", "読み込み済みモジュールを確認できません。"),
    "contexts-ok": ("All {count} contexts are there.", "{count} 個のコンテキストがあります。"),
    "context-missing": ("Missing in the dialplan: {contexts}.", "ダイヤルプランにありません: {contexts}。"),
    "destinations-ok": ("Every destination of the policy exists.", "ポリシーの転送先はすべてあります。"),
    "destinations-none": ("The policy names no destination.", "ポリシーに転送先がありません。"),
    "destination-missing": (
        "No extension in callguard-transfer for: {names}. Callers cannot be handed over there.",
        "callguard-transfer に内線がありません: {names}。転送できません。",
    ),
}

SEEN |= {
    "hooks-ok": (
        "Calls come in through callguard-guard, and agents are given their keys.",
        "着信とオペレーターの呼び出しの両方に組み込まれています。",
    ),
    "hook-agent-missing": (
        "No Queue or Dial of the dialplan calls callguard-agent: agents have no keys.",
        "callguard-agent を呼ぶ Queue/Dial がありません。オペレーターはキーを使えません。",
    ),
    "hook-guard-missing": (
        "Nothing calls callguard-guard: no recording notice is played, and repeat callers take no route of their own.",
        "callguard-guard が呼ばれていません。録音の案内や再度の着信の振り分けは行われません。",
    ),
    "hooks-unseen": ("The dialplan is not shown to this account.", "ダイヤルプランを確認できません。"),
    "keys-ok": (
        "features.conf has all {count} keys as the policy says: {keys}.",
        "features.conf にポリシーどおりの {count} 個のキーがあります: {keys}。",
    ),
    "feature-missing": ("features.conf lacks: {features}.", "features.conf にありません: {features}。"),
    "feature-differs": (
        "features.conf differs from the policy: {features}.",
        "features.conf がポリシーと異なります: {features}。",
    ),
    "features-unseen": (
        "Asterisk does not show its features.conf to this account.",
        "features.conf を確認できません。",
    ),
    "key-unreachable": ("{text}.", "キー {key}: {digits} は別のキーの先頭と重なり、使えません。"),
    "key-taken": (
        "Key {key}: {digits} meets {taken} ({what}).",
        "キー {key}: {digits} が {taken}（{what}）と重なります。",
    ),
    "key-hangs-up": (
        "The options h or H are given at {places}: there {taken} ends the call before a key is complete ({keys}).",
        "{places} でオプション h/H が使われています。キー（{keys}）の途中の {taken} で通話が切れます。",
    ),
    "key-may-hang-up": (
        "Where Dial or Queue have the option h or H, {taken} ends the call before a key is complete ({keys}).",
        "Dial/Queue にオプション h/H がある場合、キー（{keys}）の途中の {taken} で通話が切れます。",
    ),
    "caller-ok": ("No caller's channel is given the keys.", "お客様側のチャネルにキーは渡されていません。"),
    "caller-global": (
        "DYNAMIC_FEATURES is set for every channel: callers have the agents' keys.",
        "DYNAMIC_FEATURES が全チャネルに設定され、お客様もキーを使えます。",
    ),
    "caller-dialplan": (
        "The dialplan sets the keys outside of callguard-agent, at {places}: the caller may have them.",
        "callguard-agent 以外でキーが設定されています（{places}）。お客様がキーを使える可能性があります。",
    ),
    "caller-live": (
        "{count} live channel(s) that no agent was dialled on have the keys.",
        "オペレーター以外の通話中チャネル {count} 件にキーがあります。",
    ),
    "tap-ok": ("Asterisk reaches {address}.", "Asterisk から {address} に接続できます。"),
    "tap-unreachable": (
        "Asterisk does not reach {address}: no leg can be heard.",
        "Asterisk から {address} に接続できません。通話を聞き取れません。",
    ),
    "tap-taken": ("{address} cannot be opened here: {text}.", "{address} を開けません: {text}。"),
    "tap-any": ("The tap port is chosen when the daemon starts.", "タップ用ポートはデーモン起動時に決まります。"),
    "model-ok": ("Found: {models}.", "見つかりました: {models}。"),
    "model-none": (
        "There is no speech model {models}: keys and recording work, nothing is heard.",
        "音声認識モデル {models} がありません。キーと録音は動きますが、聞き取りは行われません。",
    ),
    "model-off": ("Hearing is switched off.", "聞き取りは無効です。"),
    "sounds-ok": ("All {count} sounds are in {folder}.", "{count} 個の音声が {folder} にあります。"),
    "sound-missing": ("Asterisk lacks {count} sound(s): {names}.", "Asterisk に音声が {count} 個ありません: {names}。"),
    "sounds-elsewhere": (
        "Asterisk plays from {plays}, but prompts.sounds_dir is {folder}.",
        "Asterisk の音声は {plays} ですが、prompts.sounds_dir は {folder} です。",
    ),
    "sounds-remote": (
        "Asterisk is on another machine; its sounds are not seen from here.",
        "Asterisk は別のマシンにあり、音声を確認できません。",
    ),
}

SEEN |= {
    "bus-ok": ("{server} at {address}.", "{server}（{address}）。"),
    "bus-down": (
        "Nothing answers at {address}. Keys go to the spool, nothing is heard.",
        "{address} が応答しません。キーはスプールに入り、聞き取りは行われません。",
    ),
    "bus-own": (
        "The daemon starts a Valkey of its own; it is not up now.",
        "デーモンが内蔵 Valkey を起動します。現在は停止中です。",
    ),
    "bus-no-binary": ("The built-in Valkey is missing.", "内蔵の Valkey がありません。"),
    "bus-long-path": ("The path of the socket is too long: {address}.", "ソケットのパスが長すぎます: {address}。"),
    "bus-old": ("{server} is too old: 7.0 or newer is needed.", "{server} は古すぎます。7.0 以降が必要です。"),
    "bus-evicts": (
        "{server} throws data away when it is full ({policy}): a key press could be lost.",
        "{server} は満杯時にデータを捨てます（{policy}）。キー操作が失われる恐れがあります。",
    ),
    "scripts-ok": (
        "The key script asks the same server and writes to the same spool.",
        "キースクリプトは同じサーバーとスプールを使います。",
    ),
    "scripts-differ": (
        "{file} and the settings differ in {what}: keys would not reach the daemon.",
        "{file} と設定で {what} が異なります。キーがデーモンに届きません。",
    ),
    "scripts-remote": (
        "Asterisk is on another machine; its agi.conf is not seen from here.",
        "Asterisk は別のマシンにあり、agi.conf を確認できません。",
    ),
    "daemon-up": ("The daemon runs.", "デーモンは稼働中です。"),
    "daemon-says": ("The daemon says of {part}: {text}", "デーモンの報告（{part}）: {text}"),
    "daemon-down": (
        "The daemon does not run: calls are not guarded.",
        "デーモンが停止中です。通話は見守られていません。",
    ),
    "daemon-unseen": (
        "Whether the daemon runs is not known without the bus.",
        "バスに接続できないため、デーモンの状態は不明です。",
    ),
    "store-ok": ("{where} can be written.", "{where} に書き込めます。"),
    "store-closed": ("{user} cannot write to {where}.", "{user} は {where} に書き込めません。"),
    "store-bad": ("{text}.", "保存先で問題: {text}。"),
    "disk-ok": ("{free} free in {where}.", "{where} の空きは {free} です。"),
    "disk-low": (
        "{free} free in {where}; {least} is the least.",
        "{where} の空きは {free} です。最低 {least} が必要です。",
    ),
    "disk-soon": (
        "{free} free in {where}; it will not last long.",
        "{where} の空きは {free} です。まもなく不足します。",
    ),
    "spool-ok": ("{where} can be written.", "{where} に書き込めます。"),
    "spool-none": (
        "{where} does not exist: with the bus away, keys would be lost.",
        "{where} がありません。バスの停止中はキーが失われます。",
    ),
    "spool-closed": ("{user} cannot write to {where}.", "{user} は {where} に書き込めません。"),
    "spool-full": ("{count} key presses wait in {where}.", "{where} に未処理のキー操作が {count} 件あります。"),
    "clock-ok": ("Asterisk's clock and ours agree.", "Asterisk の時計と一致しています。"),
    "clock-unseen": ("Asterisk does not tell its time.", "Asterisk の時刻を確認できません。"),
    "clock-off": ("Asterisk's clock and ours are {seconds} s apart.", "Asterisk の時計と {seconds} 秒ずれています。"),
}


def sentence(code: str, language: str, facts: Mapping[str, str]) -> str:
    """What was seen, in words; a place that nobody filled in stays visible."""
    english, japanese = SEEN[code]
    return (japanese if language == "ja" else english).format_map(_Facts(facts))


def title(name: str, language: str) -> str:
    """What was looked at."""
    return TITLES[name][1 if language == "ja" else 0]


def other(name: str, language: str, **facts: object) -> str:
    """A word around the findings."""
    words = STATES.get(name) or OTHERS[name]
    return words[1 if language == "ja" else 0].format_map(_Facts({k: str(v) for k, v in facts.items()}))


class _Facts(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"
