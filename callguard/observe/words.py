"""Every code as a sentence that people read, in English and Japanese.

Codes are those of ``model/errors.py`` and of everything else that is told by code: refusals of keys and orders,
health, taps, known trouble of Asterisk versions. The desk has sentences of its own for its visitors.
"""

from __future__ import annotations

Words = tuple[str, str]
"""English, Japanese."""

LANGUAGES = ("en", "ja")

_GENERAL: dict[str, Words] = {
    "callguard-error": ("Something failed.", "エラーが発生しました。"),
    "our-fault": (
        "A fault inside callguard. Please report it with the log.",
        "callguard 内部の不具合です。ログを添えて報告してください。",
    ),
    "peer-fault": ("Something outside callguard failed.", "callguard の外部で問題が起きました。"),
    "refused": ("That must not be done.", "この操作はできません。"),
    "failed": ("It was tried and failed.", "実行しましたが失敗しました。"),
    "not-confirmed": (
        "It was tried; whether it worked could not be seen.",
        "実行しましたが、結果を確認できませんでした。",
    ),
    "too-late": ("It came too late and was not done.", "時間切れで実行されませんでした。"),
    "cut-short": ("It was cut short.", "途中で終わりました。"),
    "stopped": ("It was stopped.", "停止しました。"),
    "shipped-files-missing": (
        "The files that ship with callguard are missing; install it again.",
        "callguard 付属のファイルがありません。再インストールしてください。",
    ),
    "extra-missing": (
        "This needs an optional part that is not installed.",
        "追加パッケージがインストールされていません。",
    ),
    "file-not-writable": ("The file cannot be written.", "ファイルに書き込めません。"),
    "file-unreadable": ("The file cannot be read.", "ファイルを読めません。"),
}

_SETTINGS: dict[str, Words] = {
    "settings-wrong": ("A setting has a value that cannot be used.", "設定の値が正しくありません。"),
    "settings-missing": (
        "The settings or policy file is missing or cannot be read.",
        "設定またはポリシーのファイルがないか、読めません。",
    ),
    "settings-not-toml": ("The file is not TOML in UTF-8.", "ファイルが UTF-8 の TOML ではありません。"),
    "settings-unknown-key": ("There is no setting of this name.", "その名前の設定はありません。"),
    "policy-wrong": ("The policy cannot be used as it stands.", "ポリシーに誤りがあり、使えません。"),
    "key-file-wrong": ("The key file holds no usable key.", "鍵ファイルに使える鍵がありません。"),
    "key-file-open": ("Others may read the key file.", "鍵ファイルが他の利用者からも読めます。"),
    "key-missing": ("The key for this sound is not in the key file.", "この音声の鍵が鍵ファイルにありません。"),
    "store-url-wrong": ("The address of the case store is wrong.", "保存先のアドレスが正しくありません。"),
    "archive-url-wrong": ("The address of the sound archive is wrong.", "音声アーカイブのアドレスが正しくありません。"),
    "url-wrong": (
        "The address of a webhook must begin with https://.",
        "Webhook のアドレスは https:// で始めてください。",
    ),
    "desk-address-taken": ("The desk cannot listen at its address.", "デスクが指定のアドレスで待ち受けできません。"),
    "metrics-port": ("The port for metrics cannot be opened.", "メトリクス用のポートを開けません。"),
    "pdf-missing": ("Printing needs the extra “pdf”.", "PDF には追加機能「pdf」が必要です。"),
}

_ASTERISK: dict[str, Words] = {
    "ami-fault": ("The manager interface of Asterisk failed.", "Asterisk のマネージャー接続で問題が起きました。"),
    "ami-lost": ("There is no manager connection to Asterisk.", "Asterisk とのマネージャー接続がありません。"),
    "ami-unreachable": (
        "Nothing answers at the address of Asterisk's manager.",
        "Asterisk のマネージャーのアドレスが応答しません。",
    ),
    "ami-refused": (
        "Asterisk refused the manager account; no further try is made.",
        "Asterisk がマネージャーアカウントを拒否しました。再試行しません。",
    ),
    "ami-timeout": ("Asterisk did not answer in time.", "Asterisk が時間内に応答しませんでした。"),
    "ami-silent": (
        "Asterisk's manager fell silent; connecting again.",
        "Asterisk のマネージャーが無応答です。再接続します。",
    ),
    "ami-garbled": (
        "What answers there is no manager interface.",
        "応答したのはマネージャーインターフェースではありません。",
    ),
    "ami-flooded": (
        "Events come faster than they can be taken in; connecting again.",
        "イベントが多すぎて処理が追いつきません。再接続します。",
    ),
    "ami-syncing": ("Connected; the state of the PBX is being read.", "接続済みです。PBX の状態を読み込んでいます。"),
    "agi-fault": ("An AGI script could not finish.", "AGI スクリプトが完了できませんでした。"),
    "unsafe-text": ("This text cannot be sent to Asterisk safely.", "この文字列は安全に Asterisk へ送れません。"),
    "unsafe-destination": ("This destination is no short internal number.", "転送先が短い内線番号ではありません。"),
    "tap-fault": ("A leg cannot be heard.", "通話の片側を聞き取れません。"),
    "tap-port": ("The port for taps cannot be opened.", "タップ用のポートを開けません。"),
    "tap-refused": ("Asterisk did not make the tap.", "Asterisk がタップを作成しませんでした。"),
    "tap-silent": ("The tap was made but never connected.", "タップは作成されましたが接続しませんでした。"),
}

_TAPS: dict[str, Words] = {
    "lost": ("The connection of a tap was lost.", "タップの接続が切れました。"),
    "crowded": ("Too many tap connections from one address.", "同じアドレスからのタップ接続が多すぎます。"),
    "no-token": (
        "Something connected to the tap port without saying which leg it is.",
        "どの通話か名乗らない接続がタップ用ポートにありました。",
    ),
    "late-token": ("A tap said too late which leg it is.", "タップが名乗るのが遅すぎました。"),
    "unknown-token": ("A tap named a leg that nobody expects.", "予期しないタップが接続しました。"),
    "odd-payload": ("A tap sent sound that cannot be understood.", "タップの音声を解釈できません。"),
    "not-linear": (
        "A tap sends coded sound; the channel needs /c(slin).",
        "タップの音声が符号化されています。/c(slin) が必要です。",
    ),
    "second-token": ("A tap said twice which leg it is.", "タップが二度名乗りました。"),
    "peer-error": ("Asterisk reported an error on a tap.", "Asterisk がタップの異常を通知しました。"),
    "ended": ("The tap ended.", "タップが終了しました。"),
    "closed": ("The tap was closed.", "タップを閉じました。"),
    "leg-down": ("The leg hung up.", "通話の片側が切れました。"),
    "fault": ("The tap failed inside callguard.", "callguard 内部でタップに失敗しました。"),
    "no-agent": ("The call has no agent.", "通話にオペレーターがいません。"),
    "no-caller": ("The call has no caller.", "通話にお客様がいません。"),
    "caller-gone": ("The caller hung up meanwhile.", "お客様がその間に電話を切りました。"),
    "no-such-member": ("The queue has no such member.", "そのメンバーはキューにいません。"),
    "transfer-refused": ("Asterisk refused the transfer.", "Asterisk が転送を拒否しました。"),
    "supervisor-did-not-answer": (
        "The supervisor's telephone was not answered.",
        "管理者の電話に応答がありませんでした。",
    ),
    "whisper-refused": ("Asterisk refused the whisper.", "Asterisk がウィスパーを拒否しました。"),
    "whisper-did-not-attach": (
        "The whisper did not reach the channel.",
        "ウィスパーがチャネルにつながりませんでした。",
    ),
    "whisper-unsafe-here": (
        "Whispering is not safe on this Asterisk.",
        "この Asterisk ではウィスパーは安全に使えません。",
    ),
    "whisper-sound-missing": ("The sound of the announcement is missing.", "案内の音声ファイルがありません。"),
    "presence-unknown": ("There is no such way to be on a call.", "そのようなモニタリング方法はありません。"),
    "presence-nobody": ("Caller and agent are not talking now.", "お客様とオペレーターは今通話していません。"),
    "presence-unsafe-here": (
        "This Asterisk has a known fault in that mode.",
        "この Asterisk にはその方法に既知の不具合があります。",
    ),
    "presence-not-two": ("Coming in needs exactly two parties.", "割り込みは二者の通話でのみ可能です。"),
}

_VERSIONS: dict[str, Words] = {
    "spy-one-way-crackles": (
        "This Asterisk loses sound when listening one way; upgrade.",
        "この Asterisk は片方向のモニタリングで音が欠けます。更新してください。",
    ),
    "whisper-one-way-silent": (
        "Whispering is silent on this Asterisk; upgrade.",
        "この Asterisk ではウィスパーが無音になります。更新してください。",
    ),
    "whisper-breaks-bridges": (
        "Whispering may break calls on this Asterisk; it stays off.",
        "この Asterisk ではウィスパーが通話を壊すことがあるため、使いません。",
    ),
    "taps-spin": (
        "A tap uses a whole processor core on this Asterisk; upgrade.",
        "この Asterisk ではタップが CPU を一つ使い切ります。更新してください。",
    ),
    "taps-end-on-comfort-noise": (
        "A phone's comfort noise ends its tap; turn silence suppression off.",
        "電話機のコンフォートノイズでタップが終わります。無音圧縮を切ってください。",
    ),
    "features-crash-on-early-hangup": (
        "Feature transfers may crash this Asterisk; upgrade.",
        "転送中の切断でこの Asterisk が停止することがあります。更新してください。",
    ),
}

_BUS: dict[str, Words] = {
    "bus-fault": ("Redis or Valkey failed.", "Redis/Valkey で問題が起きました。"),
    "bus-away": ("Redis or Valkey does not answer.", "Redis/Valkey が応答しません。"),
    "bus-refused": ("Redis or Valkey refused a command.", "Redis/Valkey がコマンドを拒否しました。"),
    "bus-embedded-failed": ("The built-in Valkey did not start.", "内蔵の Valkey が起動しませんでした。"),
    "bus-socket-path-too-long": ("The path of the bus socket is too long.", "バスのソケットのパスが長すぎます。"),
}

_STORE: dict[str, Words] = {
    "store-fault": ("The case store failed.", "保存先で問題が起きました。"),
    "store-low": ("The disk of the case store is nearly full.", "保存先のディスクの空きが残りわずかです。"),
    "store-full": ("The disk of the case store is full or failing.", "保存先のディスクがいっぱいか、故障しています。"),
    "store-locked": ("Another process holds the case store.", "別のプロセスが保存先を使用中です。"),
    "store-unreachable": ("The case store cannot be reached.", "保存先に接続できません。"),
    "store-not-writable": ("The folder of the sound cannot be written.", "音声フォルダに書き込めません。"),
    "store-newer": (
        "The case store was written by a newer callguard.",
        "保存先はより新しい callguard で作られています。",
    ),
    "archive-fault": ("The sound archive failed.", "音声アーカイブで問題が起きました。"),
    "sound-missing": ("The sound of this segment is missing.", "この区間の音声がありません。"),
    "sound-broken": ("The sound is not what was written.", "音声が書き込み時と異なります。"),
    "sound-not-finished": ("The sound could not be finished.", "音声の書き込みを完了できませんでした。"),
    "sound-not-deleted": ("Sound of a deleted case is still there.", "削除した案件の音声が残っています。"),
    "sound-out-of-place": ("Sound came for a time far outside of its call.", "通話から大きく外れた時刻の音声です。"),
    "sound-unreadable": ("The sound file cannot be read.", "音声ファイルを読めません。"),
    "track-not-begun": ("No sound of this case is being written.", "この案件の音声は書き込み中ではありません。"),
}

_SPEECH: dict[str, Words] = {
    "recognizer-fault": ("The speech recognizer failed.", "音声認識で問題が起きました。"),
    "model-missing": (
        "There is no speech model; callguard is not listening.",
        "音声認識モデルがありません。聞き取りは行われません。",
    ),
    "model-failed": ("The speech model failed.", "音声認識モデルで問題が起きました。"),
    "model-unusable": ("The speech model cannot be loaded.", "音声認識モデルを読み込めません。"),
    "no-worker": (
        "No recognizer is running; callguard is not listening.",
        "音声認識プロセスがありません。聞き取りは行われません。",
    ),
    "voice-missing": (
        "The voice for announcements is not installed.",
        "案内用の音声合成がインストールされていません。",
    ),
    "prompt-text-missing": ("An announcement has no text.", "案内の文章がありません。"),
    "prompt-sound-missing": ("An announcement has no sound.", "案内の音声がありません。"),
    "prompt-sound-stale": (
        "An announcement's sound was made of another text.",
        "案内の音声が古い文章で作られています。",
    ),
    "prompt-sound-format": ("An announcement's sound has the wrong format.", "案内の音声の形式が違います。"),
    "prompt-sound-long": ("An announcement is too long.", "案内が長すぎます。"),
    "prompt-sound-loud": ("An announcement is too loud.", "案内の音量が大きすぎます。"),
    "prompt-sound-level": ("An announcement has the wrong level.", "案内の音量が適切ではありません。"),
    "sounds-not-writable": (
        "Asterisk's folder of sounds cannot be written.",
        "Asterisk の音声フォルダに書き込めません。",
    ),
}

_KEYS: dict[str, Words] = {
    "not-in-call": ("The agent is not in a call.", "オペレーターは通話中ではありません。"),
    "ringing": ("It is still ringing.", "まだ呼び出し中です。"),
    "on-hold": ("The caller is on hold.", "お客様は保留中です。"),
    "in-consultation": ("The agent is talking to a colleague.", "オペレーターは同僚と相談中です。"),
    "call-over": ("The call is over.", "通話は終了しています。"),
    "too-old": ("It came too late; it was recorded and not done.", "遅すぎたため、記録のみで実行されませんでした。"),
    "repeated": ("That was done already.", "すでに実行済みです。"),
    "warning-running": ("A warning is playing just now.", "警告を再生中です。"),
    "cooling-down": ("The last time is too recent.", "前回からまだ時間がたっていません。"),
    "no-rung-left": ("All warnings have been given.", "警告はすべて再生済みです。"),
    "needs-approval": ("Somebody must approve first.", "先に承認が必要です。"),
    "nothing-to-withdraw": ("There is nothing to take back.", "取り消すものがありません。"),
    "policy-forbids": ("The policy does not allow that here.", "ポリシーで許可されていません。"),
    "care-first": ("Care comes first: no measures on this call.", "ケアを優先し、この通話では措置をとりません。"),
    "not-the-agent": ("That is for the agent of the call.", "通話中のオペレーターだけができる操作です。"),
    "no-destination": ("The policy names no place to hand over to.", "ポリシーに転送先がありません。"),
}

_DESK: dict[str, Words] = {
    "no-right": ("There is no right to do that.", "この操作の権限がありません。"),
    "out-of-scope": ("That belongs to another queue or team.", "別のキューまたはチームのものです。"),
    "not-oneself": ("Somebody else must do that.", "別の人が行う必要があります。"),
    "form-forged": (
        "The form is too old, or came from another site.",
        "フォームが古いか、別のサイトから送られています。",
    ),
    "sign-in-unknown": ("There is no account for that company account.", "その会社アカウントは登録されていません。"),
    "sign-in-stale": ("That sign-in did not hold, or took too long.", "サインインを確認できないか、時間切れです。"),
    "provider-away": ("The identity provider does not answer.", "認証サーバーが応答しません。"),
    "sign-in-wrong": ("Name or password is wrong.", "名前またはパスワードが違います。"),
    "sign-in-locked": (
        "Too many wrong sign-ins; wait a quarter of an hour.",
        "サインインの失敗が多すぎます。15分お待ちください。",
    ),
    "password-weak": ("The password is too short or too common.", "パスワードが短すぎるか、ありふれています。"),
    "password-differs": ("The two new passwords are not the same.", "新しいパスワードが一致しません。"),
    "name-wrong": (
        "A user name is letters, digits, dot, dash, underscore or @.",
        "ユーザー名に使えない文字があります。",
    ),
    "name-taken": ("There is an account of this name.", "この名前のアカウントはすでにあります。"),
    "no-account": ("There is no account of this name.", "その名前のアカウントはありません。"),
    "no-phone": ("No telephone is set in the account.", "アカウントに電話が設定されていません。"),
    "token-wrong": ("The token opens nothing.", "このトークンは使えません。"),
    "input-wrong": ("Something in the form is missing or wrong.", "入力に不足または誤りがあります。"),
    "not-found": ("There is nothing of this name.", "見つかりません。"),
    "no-such-case": ("There is no such case.", "その案件はありません。"),
    "no-such-sound": ("There is no such sound.", "その音声はありません。"),
    "case-held": ("The case is on hold and cannot be deleted.", "案件は保全中のため削除できません。"),
    "not-held": ("The case is not on hold.", "案件は保全されていません。"),
    "harassment-but-fair": ("A proper complaint is not harassment.", "正当な申し出はハラスメントと認定できません。"),
    "verdict-first": ("That needs a first verdict.", "先に最初の判断が必要です。"),
    "verdict-needed": ("A measure needs a confirmed case.", "措置には認定された案件が必要です。"),
    "no-verdict": ("There is no verdict to take back.", "取り消せる判断がありません。"),
    "undo-too-late": ("Ten seconds are over; the verdict stays.", "10秒が過ぎたため、判断は残ります。"),
    "expiry-first": (
        "A measure ends in the future and is reviewed before.",
        "措置には将来の期限と、それ以前の見直し日が必要です。",
    ),
    "number-unknown": ("The number is not one person's.", "個人の番号ではありません。"),
    "order-unknown": ("There is no such order.", "その指示はありません。"),
    "order-unanswered": ("The order was sent; no answer came.", "指示を送りましたが、応答がありません。"),
    "request-over": ("The request is no longer open.", "この依頼はすでに終了しています。"),
}

_SANDBOX: dict[str, Words] = {
    "sandbox-needs-root": ("The private Asterisk needs root.", "専用 Asterisk には root 権限が必要です。"),
    "sandbox-no-mmdebstrap": ("mmdebstrap is not installed.", "mmdebstrap がインストールされていません。"),
    "sandbox-no-archive": (
        "No Asterisk 20 or newer can be had here.",
        "この環境では Asterisk 20 以降を入手できません。",
    ),
    "sandbox-not-made": ("The private Asterisk could not be made.", "専用 Asterisk を作成できませんでした。"),
    "sandbox-asterisk-down": ("The private Asterisk did not start.", "専用 Asterisk が起動しませんでした。"),
    "sandbox-daemon-down": (
        "callguard did not come up beside the private Asterisk.",
        "専用 Asterisk の横で callguard が起動しませんでした。",
    ),
    "sandbox-refused": ("The private Asterisk refused an action.", "専用 Asterisk が操作を拒否しました。"),
    "sandbox-no-key": ("The policy has no key for that.", "ポリシーにそのキーがありません。"),
    "scene-unknown": ("There is no such scene.", "その場面はありません。"),
}

WORDS: dict[str, Words] = {
    **_GENERAL,
    **_SETTINGS,
    **_ASTERISK,
    **_TAPS,
    **_VERSIONS,
    **_BUS,
    **_STORE,
    **_SPEECH,
    **_KEYS,
    **_DESK,
    **_SANDBOX,
}
"""Code -> (English, Japanese)."""


def words_for(code: str, language: str = "en") -> str:
    """The sentence for this code; the code itself where it is not one of ours."""
    found = WORDS.get(code)
    return code if found is None else found[1 if language == "ja" else 0]
