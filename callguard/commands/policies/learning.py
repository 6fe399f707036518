"""Learning the weights of ``detect.learned`` from labelled sentences. Needs scikit-learn (the extra ``learn``)."""

from __future__ import annotations

import hashlib
import importlib.util
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from callguard.commands.policies.sentences import Sentence, Share, read_sentences
from callguard.commands.policies.testing import Guards
from callguard.detect.learned import KINDS, SOUND, WORD, Learned, Piece, Weighed, grams, learned_rules, write_learned
from callguard.detect.rules import LanguageRules
from callguard.detect.verdict import Judgement
from callguard.model.errors import SettingsError
from callguard.model.finding import Category

ROOM, SOFTNESS = 10_000.0, 40.0
"""How little a short utterance weighs, and the inverse strength of regularization. Chosen by leaving files out: of the
newest sets, beside rules that had not seen them, 93.8 % found in English and 95.2 % in Japanese at one share of false
alarms, 91.9 and 94.6 % with 1000 and 10; ten times as much of both did no better."""
RARE_WORD, RARE_RUN = 2, 3
"""A piece in fewer sentences is not learned."""
MOST_PIECES = 40_000
"""Of the rest those that weigh most are kept. Half as many find two sentences of a hundred less."""
FOLDS = 8
BELIEVED = 0.995
FALSE_CARE = 0.0015
SILENCE = 500.0
"""Sentences' worth of saying nothing, which is harmless. Labelled files hold far more abuse than calls do, and without
this an utterance of unknown words is taken for it: of lines of Japanese small talk 0.6 instead of 0.8 % at one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A labelled sentence, the file it is from, and its pieces."""

    file: str
    sentence: Sentence
    grams: frozenset[str]


def samples_of(file: str, sentences: Sequence[Sentence], spoken: LanguageRules) -> list[Sample]:
    """The sentences with their pieces."""
    return [
        Sample(
            file=file,
            sentence=one,
            grams=frozenset(grams(spoken.lattice(one.text, by_sound=False), spoken.language)),
        )
        for one in sentences
    ]


def learn(samples: Sequence[Sample], language: str, *, kinds: bool = True) -> Learned:
    """The weights these sentences teach; the lines are drawn by ``with_lines`` (until then nothing is found).

    kinds: also what tells one kind from another, which is most of the work.
    """
    rarity = _rarities(samples)
    first, _ = _fit(samples, rarity, kinds=False)
    counts = Counter(gram for sample in samples for gram in sample.grams if gram in rarity)
    weight = {
        gram: math.sqrt(rarity[gram] * counts[gram]) * max(abs(piece.abuse), abs(piece.care))
        for gram, piece in first.items()
    }
    kept = sorted(rarity, key=lambda gram: (-weight[gram], gram))[:MOST_PIECES]
    pieces, base = _fit(samples, {gram: rarity[gram] for gram in kept}, kinds=kinds)
    return Learned(
        language=language,
        pieces=pieces,
        base=base,
        room=ROOM,
        alone=math.inf,
        doubted=-math.inf,
        care=math.inf,
        rules=learned_rules(language),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What weights learned without a sentence's file say of it."""

    sample: Sample
    weighed: Weighed


def held_out(
    samples: Sequence[Sample], language: str, *, shown: Callable[[int], None] = lambda fold: None
) -> list[Told]:
    """Each sentence weighed by weights that were learned without its file. shown: called after each of the folds."""
    files = sorted({sample.file for sample in samples})
    told: list[Told] = []
    for fold in range(min(FOLDS, len(files))):
        out = set(files[fold::FOLDS])
        learned = learn([sample for sample in samples if sample.file not in out], language, kinds=False)
        told += [Told(sample=one, weighed=learned.weigh(one.grams)) for one in samples if one.file in out]
        shown(fold)
    return told


def _rarities(samples: Sequence[Sample]) -> dict[str, float]:
    counts = Counter(gram for sample in samples for gram in sample.grams)
    return {
        gram: (math.log((1 + len(samples)) / (1 + count)) + 1) ** 2
        for gram, count in counts.items()
        if count >= (RARE_WORD if gram.startswith(WORD) else RARE_RUN)
    }


def _fit(
    samples: Sequence[Sample], rarity: dict[str, float], *, kinds: bool
) -> tuple[dict[str, Piece], tuple[float, ...]]:
    """Each piece's weights, and the log odds of nothing per column."""
    import numpy as np
    from scipy.sparse import csr_matrix

    place = {gram: number for number, gram in enumerate(sorted(rarity))}
    rows, columns, values = [], [], []
    for row, sample in enumerate(samples):
        known = sorted(gram for gram in sample.grams if gram in place)
        scale = 1.0 / math.sqrt(ROOM + sum(rarity[gram] for gram in known))
        rows += [row] * len(known)
        columns += [place[gram] for gram in known]
        values += [scale * math.sqrt(rarity[gram]) for gram in known]
    table = csr_matrix((values, (rows, columns)), shape=(len(samples), len(place)))
    verdicts = np.array([sample.sentence.wanted for sample in samples])
    abuse, care = verdicts == Judgement.HARASSMENT, verdicts == Judgement.CARE
    found = [_line(table, yes, silence=SILENCE) for yes in (abuse, care)]
    if kinds:
        category = np.array([sample.sentence.category for sample in samples])
        severe = np.array([sample.sentence.severity >= 2 for sample in samples])
        asked = [(abuse, category == kind.value) for kind in KINDS]
        asked += [(abuse, severe), (care, category == Category.LIFE_AT_RISK.value)]
        found += [_line(table[among], yes[among], silence=0.0) for among, yes in asked]
    pieces: dict[str, Piece] = {}
    for gram, number in place.items():
        root = math.sqrt(rarity[gram])
        for_abuse, for_care, *for_kinds = [root * float(weights[number]) for _, weights in found]
        tells = gram.startswith(WORD) or (not gram.isascii() and not gram.startswith(SOUND))
        pieces[gram] = Piece(rarity[gram], for_abuse, for_care, tuple(for_kinds) if tells else ())
    return pieces, tuple(base for base, _ in found)


def _line(table: Any, yes: Any, *, silence: float) -> tuple[float, Any]:
    """Logistic regression: the log odds of nothing, and the weights. Without both answers: sure of the one there is."""
    import numpy as np
    from scipy.sparse import csr_matrix, vstack
    from sklearn.linear_model import LogisticRegression

    if yes.all() or not yes.any():
        return (10.0 if yes.all() and len(yes) else -10.0), np.zeros(table.shape[1])
    weight = np.ones(len(yes))
    if silence:
        table = vstack([table, csr_matrix((1, table.shape[1]))]).tocsr()
        yes, weight = np.append(yes, False), np.append(weight, silence)
    model = LogisticRegression(C=SOFTNESS, max_iter=3000, solver="liblinear", random_state=0)
    model.fit(table, yes, sample_weight=weight)
    return float(model.intercept_[0]), model.coef_[0]


class Figures(NamedTuple):
    """What the model did on sentences of files it had not learned from, by itself, without the rules.

    found: harassment at the line ``alone``. false_alarms: harmless ones there. care, false_care: at the line ``care``.
    """

    found: Share
    false_alarms: Share
    care: Share
    false_care: Share


def with_lines(learned: Learned, told: Sequence[Told], *, false_alarms: float) -> tuple[Learned, Figures]:
    """The model with its lines drawn from what it said of sentences it had not seen, and the figures there.

    alone: so that this share of complaints and neutral talk lies above. doubted: so that ``BELIEVED`` of harassment
    lies above. care: so that ``FALSE_CARE`` of all that is no call for care lies above, and never below
    even odds.
    """
    by_label: dict[str, list[Told]] = {}
    for one in told:
        by_label.setdefault(one.sample.sentence.wanted, []).append(one)
    abuse, harmless, care = (by_label.get(label, []) for label in ("harassment", "none", "care"))
    if not abuse or not harmless or not care:
        raise SettingsError(
            "harassment, harmless sentences and calls for care are all needed, in two files or more",
            where="utterances",
            code="file-unreadable",
        )
    alone = _line_above([one.weighed.abuse for one in harmless], false_alarms)
    line = max(0.0, _line_above([one.weighed.care for one in (*abuse, *harmless)], FALSE_CARE))
    doubted = sorted(one.weighed.abuse for one in abuse)[int((1 - BELIEVED) * len(abuse))]
    done = replace(learned, alone=alone, doubted=min(doubted, alone), care=line)

    def share(those: Sequence[Told], hit: Callable[[Weighed], bool]) -> Share:
        return Share(hit=sum(hit(one.weighed) for one in those), of=len(those))

    return done, Figures(
        found=share(abuse, lambda weighed: weighed.abuse >= alone),
        false_alarms=share(harmless, lambda weighed: weighed.abuse >= alone),
        care=share(care, lambda weighed: weighed.care >= line),
        false_care=share([*abuse, *harmless], lambda weighed: weighed.care >= line),
    )


def _line_above(odds: Sequence[float], share: float) -> float:
    """Above it lies at most this share."""
    ranked = sorted(odds, reverse=True)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] + 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What came of learning: the weights' file, how many pieces it holds, the figures on sentences held out."""

    text: str
    pieces: int
    figures: Figures


def learn_from(files: Sequence[Path], guards: Guards, *, false_alarms: float, say: Callable[[str], None]) -> Lesson:
    """Learn from files of labelled sentences of one language. Raises SettingsError; scikit-learn missing is one."""
    if importlib.util.find_spec("sklearn") is None:
        raise SettingsError(
            "scikit-learn is not installed",
            where="policy learn",
            code="extra-missing",
            hint="pip install callguard[learn]",
        )
    read = {str(file): read_sentences(file) for file in files}
    languages = {one.language for sentences in read.values() for one in sentences}
    if len(languages) != 1 or len(read) < 2:
        raise SettingsError(
            "two files or more are needed, all of one language", where=", ".join(read), code="file-unreadable"
        )
    (language,) = languages
    spoken = guards.of(language).rules.languages.get(language)
    if spoken is None:
        raise SettingsError(f"the policy has no rules for {language!r}", where="--policy", code="policy-wrong")
    samples = [one for file, rows in read.items() for one in samples_of(file, rows, spoken)]
    say(f"{len(samples)} sentences of {len(read)} files")
    told = held_out(samples, language, shown=lambda fold: say(f"held out: part {fold + 1} of {min(FOLDS, len(read))}"))
    learned, found = with_lines(learn(samples, language), told, false_alarms=false_alarms)
    notes = {"sentences": str(len(samples)), "sha256": _digest(samples)}
    notes |= {
        f"held-out {name.replace('_', '-')}": f"{share.hit} of {share.of}" for name, share in found._asdict().items()
    }
    return Lesson(text=write_learned(learned, notes), pieces=len(learned.pieces), figures=found)


def _digest(samples: Sequence[Sample]) -> str:
    lines = sorted(f"{one.sentence.wanted}\t{one.sentence.text}\n" for one in samples)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
