"""English: from recognized text to a lattice of words, and from listed words to all their forms.

Speech has no punctuation to count on, so commas and full stops are read where present and never needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from rapidfuzz.distance import Levenshtein

from callguard.detect.lattice import Lattice
from callguard.detect.sounds import english_key

_WORD = re.compile(
    r"[$£€] ?\d+(?:,\d{3})*(?:\.\d+)?(?: ?(?:hundred|thousand|million|billion|grand|k)\b)?|\d{1,3}(?:,\d{3})+(?![\d,])"
    r"|[a-z0-9]+(?:'[a-z]+)*|[.?!;:]+(?=\s|$|[\"')])|[,–—]|\.\.\.|\$|£|€|\*+"
)
_FIGURE = re.compile(r"([$£€]?) ?(\d+(?:,\d{3})*)(\.\d+)? ?(hundred|thousand|million|billion|grand|k)?")
_LONGEST_FIGURE = 15
"""Numbers of more digits are no sums."""
_SIGNS = {"$": "dollars", "£": "pounds", "€": "euros"}
_NUMBERS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_FILLERS = frozenset({"uh", "um", "umm", "uhm", "er", "erm", "hmm", "mm", "mmm", "ah", "eh"})

_WHOLE = {
    "won't": "will not", "wont": "will not", "can't": "can not", "cant": "can not", "cannot": "can not",
    "shan't": "shall not", "ain't": "is not", "aint": "is not", "dont": "do not", "doesnt": "does not",
    "didnt": "did not", "isnt": "is not", "arent": "are not", "wasnt": "was not", "werent": "were not",
    "hasnt": "has not", "havent": "have not", "hadnt": "had not", "wouldnt": "would not",
    "shouldnt": "should not", "couldnt": "could not", "mustnt": "must not", "neednt": "need not",
    "im": "i am", "ive": "i have", "youre": "you are", "youve": "you have", "youll": "you will",
    "youd": "you would", "theyre": "they are", "theyll": "they will", "thats": "that is", "whats": "what is",
    "wheres": "where is", "hows": "how is", "whos": "who is", "theres": "there is", "heres": "here is",
    "let's": "let us", "lets": "let us", "it's": "it is", "he's": "he is", "she's": "she is", "that's": "that is",
    "what's": "what is", "who's": "who is", "where's": "where is", "how's": "how is", "there's": "there is",
    "here's": "here is", "when's": "when is", "why's": "why is", "something's": "something is",
    "everyone's": "everyone is", "somebody's": "somebody is", "someone's": "someone is", "nobody's": "nobody is",
    "y'all": "you all", "yall": "you all", "ya": "you", "ye": "you", "u": "you", "ur": "your", "yer": "your",
    "gonna": "going to", "gunna": "going to", "gon": "going to", "wanna": "want to", "gotta": "have got to",
    "gimme": "give me", "lemme": "let me", "dunno": "do not know", "imma": "i am going to", "i'ma": "i am going to",
    "cos": "because", "'cause": "because", "cuz": "because", "coz": "because", "til": "until", "till": "until",
    "em": "them", "'em": "them", "outta": "out of", "kinda": "kind of", "sorta": "sort of", "gotcha": "got you",
    "betcha": "bet you", "whatcha": "what are you", "ok": "okay", "alright": "all right", "yourselves": "yourself",
    "aren't": "are not", "grey": "gray", "arse": "ass", "arsehole": "asshole", "arseholes": "assholes",
    "mum": "mother", "mom": "mother", "mummy": "mother", "o'clock": "oclock", "ma'am": "madam", "maam": "madam",
    "nothin": "nothing", "somethin": "something", "anythin": "anything", "fuckin": "fucking", "freakin": "freaking",
    "talkin": "talking", "comin": "coming", "goin": "going", "doin": "doing", "f'ing": "fucking", "effing": "fucking",
    "f***ing": "fucking", "retired'": "retired", "thru": "through", "wilt": "will", "plz": "please", "pls": "please",
}  # fmt: skip
_ENDINGS = {
    "'m": "am", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would", "n't": "not",
}  # fmt: skip

_SHORT = ("is", "has")
"""What the 's of a noun may stand for besides the owner: the driver's here, the driver's gone."""
_AFTER_IS = frozenset({
    "a", "about", "all", "always", "an", "as", "at", "been", "better", "bleeding", "blue", "broken", "dead", "down",
    "drunk", "fallen", "gone", "got", "had", "here", "hot", "hurt", "ill", "in", "just", "like", "lost", "my", "never",
    "no", "not", "off", "on", "only", "out", "over", "safe", "sick", "so", "still", "stuck", "the", "there", "too",
    "unconscious", "under", "up", "very", "worse", "your",
})  # fmt: skip

_PLAIN = frozenset({
    "where", "batch", "beach", "bench", "clone", "clean", "cross", "faulty", "fault", "flights", "words",
    "worry", "takes", "taxes", "retired", "stopped", "pounds", "notes", "notice", "night", "money", "since",
    "course", "cards", "closes", "cried", "behind", "beyond", "blonde", "floor", "flowers", "curtains", "rabbits",
})  # fmt: skip
"""Everyday words that happen to sound like a listed one."""

_UNITS = frozenset(
    [
        *_NUMBERS,
        *_TENS,
        "hundred",
        "hundreds",
        "thousand",
        "thousands",
        "million",
        "millions",
        "billion",
        "grand",
        "k",
    ]
)

_IRREGULAR = {
    "be": "am is are was were been being be", "have": "have has had having", "do": "do does did done doing",
    "go": "go goes went gone going", "get": "get gets got gotten getting", "make": "make makes made making",
    "say": "say says said saying", "tell": "tell tells told telling", "come": "come comes came coming",
    "give": "give gives gave given giving", "take": "take takes took taken taking", "find": "find finds found finding",
    "know": "know knows knew known knowing", "think": "think thinks thought thinking",
    "see": "see sees saw seen seeing", "break": "break breaks broke broken breaking",
    "cut": "cut cuts cutting", "hit": "hit hits hitting", "hurt": "hurt hurts hurting", "put": "put puts putting",
    "shoot": "shoot shoots shot shooting", "stab": "stab stabs stabbed stabbing",
    "burn": "burn burns burned burnt burning",
    "blow": "blow blows blew blown blowing",
    "beat": "beat beats beaten beating",
    "bleed": "bleed bleeds bled bleeding", "bring": "bring brings brought bringing",
    "fight": "fight fights fought fighting",
    "strangle": "strangle strangles strangled strangling",
    "throw": "throw throws threw thrown throwing", "run": "run runs ran running",
    "hang": "hang hangs hung hanged hanging",
    "lose": "lose loses lost losing", "wear": "wear wears wore worn wearing", "feel": "feel feels felt feeling",
    "leave": "leave leaves left leaving",
    "keep": "keep keeps kept keeping", "speak": "speak speaks spoke spoken speaking",
    "sleep": "sleep sleeps slept sleeping", "meet": "meet meets met meeting", "pay": "pay pays paid paying",
    "send": "send sends sent sending", "slit": "slit slits slitting", "tear": "tear tears tore torn tearing",
    "drown": "drown drowns drowned drowning", "die": "die dies died dying", "lie": "lie lies lied lying",
    "write": "write writes wrote written writing", "read": "read reads reading", "let": "let lets letting",
    "sue": "sue sues sued suing", "spit": "spit spits spat spitting", "stand": "stand stands stood standing",
    "sit": "sit sits sat sitting", "hear": "hear hears heard hearing", "learn": "learn learns learned learnt learning",
    "teach": "teach teaches taught teaching", "wait": "wait waits waited waiting", "quit": "quit quits quitting",
    "shut": "shut shuts shutting", "pick": "pick picks picked picking", "rip": "rip rips ripped ripping",
    "kneel": "kneel kneels knelt kneeled kneeling",
    "lick": "lick licks licked licking", "buy": "buy buys bought buying",
    "sell": "sell sells sold selling",
    "show": "show shows showed shown showing", "ring": "ring rings rang rung ringing",
    "choke": "choke chokes choked choking", "smash": "smash smashes smashed smashing",
    "understand": "understand understands understood understanding", "ride": "ride rides rode riding ridden",
    "fuck": "fuck fucks fucked fucking", "suck": "suck sucks sucked sucking", "screw": "screw screws screwed screwing",
    "man": "man men", "woman": "woman women", "child": "child children", "person": "person people persons",
    "wife": "wife wives", "life": "life lives", "knife": "knife knives", "foot": "foot feet", "tooth": "tooth teeth",
    "good": "good better best", "bad": "bad worse worst", "drive": "drive drives drove driven driving",
    "eat": "eat eats ate eaten eating",
    "bite": "bite bites bit bitten biting", "fall": "fall falls fell fallen falling",
    "swear": "swear swears swore sworn swearing", "stick": "stick sticks stuck sticking",
    "hold": "hold holds held holding", "catch": "catch catches caught catching", "ruin": "ruin ruins ruined ruining",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One word after unfolding. start, end: of the written word in the text."""

    text: str
    start: int
    end: int


def unfold(text: str) -> tuple[list[Token], set[int], set[int]]:
    """Words in lower case without contractions, fillers and repeats; where sentences end; where commas stand."""
    tokens: list[Token] = []
    hard: set[int] = {0}
    soft: set[int] = set()
    for piece in _WORD.finditer(text.lower().replace("’", "'").replace("`", "'")):
        word = piece.group()
        if word[0] in ".?!;:":
            hard.add(len(tokens))
        elif word[0] in ",–—":
            soft.add(len(tokens))
        else:
            for part in _parts(word):
                if not (tokens and part == tokens[-1].text and part not in ("that", "had")) and part not in _FILLERS:
                    tokens.append(Token(text=part, start=piece.start(), end=piece.end()))
    hard.add(len(tokens))
    return tokens, hard, soft


def _figure(figure: re.Match[str]) -> list[str]:
    """A sum as it is spoken: £10,000 is ten thousand pounds. Round hundreds are spelled, others stay one number."""
    sign, digits, rest, unit = figure.groups()
    digits = digits.replace(",", "")
    if len(digits) > _LONGEST_FIGURE or (digits[0] == "0" and len(digits) > 1):
        return [figure.group()]  # a telephone number or a code
    value = int(digits)
    if unit == "k" and not rest:
        value, unit = value * 1000, None
    is_round = value >= 100 and value % 100 == 0 and not rest
    said = _spelled(value) if is_round else [digits + (rest or "")]
    return [*said, *([unit] if unit else []), *([_SIGNS[sign]] if sign else [])]


def _spelled(value: int) -> list[str]:
    for size, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if value >= size:
            return [*_spelled(value // size), name, *(_spelled(value % size) if value % size else [])]
    if value < 20:
        return [_NUMBERS[value]]
    return [_TENS[value // 10 - 2], *([_NUMBERS[value % 10]] if value % 10 else [])]


def _parts(word: str) -> list[str]:
    figure = _FIGURE.fullmatch(word)
    if figure is not None:
        return _figure(figure)
    whole = _WHOLE.get(word)
    if whole is not None:
        return whole.split()
    for ending, full in _ENDINGS.items():
        if word.endswith(ending) and len(word) > len(ending):
            return [*_parts(word[: -len(ending)]), full]
    if "'" in word:
        stem, _, tail = word.partition("'")
        return [*_parts(stem), "'s"] if tail == "s" else _parts(stem)
    return [fold(word)]


_OUR = re.compile(r"(?<=[a-z]{3})our(s|ed|ing|able|ite)?$")
_ISE = re.compile(r"(?<=[a-z]{4})is(e|ed|es|ing|er|ers|ation)$")


@lru_cache(maxsize=20_000)
def fold(word: str) -> str:
    """One spelling for British and American: apologise and apologize, behaviour and behavior."""
    return _ISE.sub(r"iz\1", _OUR.sub(r"or\1", word))


def forms(word: str) -> set[str]:
    """All forms of a verb, noun or adjective in one set: the lists say which words, not which endings."""
    if word in _IRREGULAR:
        return set(_IRREGULAR[word].split())
    found = {word, *_verb(word), _plural(word)}
    return {fold(form) for form in found}


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


_DOUBLES = re.compile(r"^(?:[^aeiou]*[aeiou][bdgklmnprtv])$")


def _verb(word: str) -> set[str]:
    if word.endswith("e"):
        return {word + "d", (word[:-2] + "ying") if word.endswith("ie") else word[:-1] + "ing"}
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return {word[:-1] + "ied", word + "ing"}
    doubled = word + word[-1] if _DOUBLES.match(word) and word[-1] not in "wxy" else word
    return {doubled + "ed", doubled + "ing"}


def degrees(word: str) -> set[str]:
    """An adjective with its comparative and superlative."""
    if word in _IRREGULAR:
        return set(_IRREGULAR[word].split())
    if word.endswith("e"):
        return {word, word + "r", word + "st"}
    if word.endswith("y") and len(word) > 3:
        return {word, word[:-1] + "ier", word[:-1] + "iest"}
    doubled = word + word[-1] if _DOUBLES.match(word) and len(word) < 6 else word
    return {word, doubled + "er", doubled + "est"}


@dataclass(slots=True)
class EnglishWords:
    """The vocabulary of the rules: which written word carries which symbols.

    singles: word to symbols. runs: first word to (all the words, symbol) of longer entries.
    by_sound: key of a listed word to (word, symbols), for words whose confusions by sound count.
    """

    singles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    runs: dict[str, list[tuple[tuple[str, ...], str]]] = field(default_factory=dict)
    by_sound: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    heard_as: dict[tuple[str, ...], str] = field(default_factory=dict)

    def literal(self, written: str) -> str:
        """The symbol of a word written in a pattern; ``~kill`` takes note of all forms of kill."""
        if written.startswith("{"):
            return written
        if written.startswith("~"):
            for form in forms(written[1:]):
                self._single(form, written)
            return written
        return "@num" if written == "@num" else fold(written)

    def _single(self, word: str, symbol: str) -> None:
        held = self.singles.get(word, ())
        if symbol not in held:
            self.singles[word] = (*held, symbol)

    def enter(self, name: str, entries: Sequence[str], kind: str, *, sound: bool) -> None:
        """Enter a list. kind: "verb" or "noun" (all forms), "adjective" (degrees), "word" (as written)."""
        symbol = "{" + name + "}"
        for entry in entries:
            head, *rest = entry.split()
            for form in _inflect(head, kind) if kind != "noun" or not rest else {head}:
                first = fold(form)
                if not rest:
                    self._single(first, symbol)
                    continue
                tail = [fold(word) for word in rest]
                lasts = {fold(form) for form in _inflect(tail[-1], kind)} if kind == "noun" else {tail[-1]}
                for last in lasts:
                    self.runs.setdefault(first, []).append(((first, *tail[:-1], last), symbol))
            if sound and not rest and len(head) >= 5:
                for form in _inflect(head, kind):
                    self.by_sound.setdefault(english_key(form), []).append((form, symbol))

    def lattice(self, text: str, *, by_sound: bool) -> Lattice:
        """The lattice of a text. by_sound: let words that sound like a listed word stand for it."""
        tokens, hard, soft = unfold(text)
        words = [token.text for token in tokens]
        size = len(words)
        lattice = Lattice(
            text=text,
            size=size,
            arcs=[{} for _ in range(size)],
            hard=hard,
            soft=soft | hard,
            chars=[(token.start, token.end) for token in tokens],
            literal=" ".join(words),
        )
        for at, word in enumerate(words):
            lattice.add(at, word, at + 1)
            self._carry(lattice, at, word, at + 1)
            if word in _UNITS or word[0].isdigit():
                lattice.add(at, "@num", at + 1)
            for run, symbol in self.runs.get(word, ()):
                if tuple(words[at : at + len(run)]) == run:
                    lattice.add(at, symbol, at + len(run))
            if word == "'s" and at + 1 < size and _goes_on(words[at + 1]):
                for meant in _SHORT:
                    lattice.add(at, meant, at + 1)
                    self._carry(lattice, at, meant, at + 1)
            if by_sound:
                self._sounds(lattice, words, at)
        return lattice

    def _carry(self, lattice: Lattice, at: int, word: str, end: int) -> None:
        for symbol in self.singles.get(word, ()):
            lattice.add(at, symbol, end)

    def _sounds(self, lattice: Lattice, words: list[str], at: int) -> None:
        for length in range(1, min(3, len(words) - at) + 1):
            meant = self.heard_as.get(tuple(words[at : at + length]))
            if meant is not None:
                lattice.add(at, meant, at + length)
                self._carry(lattice, at, meant, at + length)
        word = words[at]
        if len(word) >= 5 and word not in self.singles and word not in _PLAIN:
            for listed, symbol in self.by_sound.get(english_key(word), ()):
                if word[0] == listed[0] and Levenshtein.distance(word, listed) <= (1 if len(listed) < 6 else 2):
                    lattice.add(at, symbol, at + 1)


def _goes_on(word: str) -> bool:
    """Whether the word after an 's tells that it is short for is or has."""
    return word in _AFTER_IS or word.endswith(("ing", "ed"))


def _inflect(word: str, kind: str) -> set[str]:
    match kind:
        case "verb":
            return forms(word)
        case "noun":
            return {word, _plural(word)} if word not in _IRREGULAR else set(_IRREGULAR[word].split())
        case "adjective":
            return degrees(word)
        case _:
            return {word}


def confusions(table: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """From ``"more on" = "moron"`` to what the lattice looks up."""
    return {tuple(heard.split()): meant for heard, meant in table.items()}
