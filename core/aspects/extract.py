"""Signed opinions by aspect in a review, English or Chinese, by rules over clauses.

A text is cut into sentences and these into clauses; words that judge are tied to the nearest word that names an aspect,
unless they name one themselves ("overpriced"); negations, intensifiers and "too" before them change the polarity. What
the words mean stands in the lexicon files; `aspect_words` and `aspect_sentence` know how they work together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.aspects.lexicon import Lexicon, default_lexicon
from core.aspects.sentence import NAMED, Evidence, Sentence
from core.aspects.words import Target, sentences

ASPECTS = (
    "price", "quality", "service", "delivery", "design", "comfort", "sound", "story", "acting", "teaching", "depth"
)  # fmt: skip

# From this polarity on, either way, an aspect counts as praised or blamed; between them it is neutral.
POLAR_FROM = 0.15
# From this confidence on, something was said about an aspect rather than the aspect merely named.
SAID_FROM = 0.3


@dataclass(frozen=True, slots=True)
class AspectScore:
    """Opinion of a text about one aspect.

    Attributes:
        aspect: one of `ASPECTS`.
        polarity: -1 (blamed) to 1 (praised).
        confidence: 0 to 1; below `SAID_FROM` the aspect was named, not judged.
    """

    aspect: str
    polarity: float
    confidence: float

    @property
    def label(self) -> str:
        """Returns "positive", "negative" or "neutral"."""
        if abs(self.polarity) < POLAR_FROM:
            return "neutral"
        return "positive" if self.polarity > 0 else "negative"


def aspect_scores(text: str, lexicon: Lexicon | None = None) -> tuple[AspectScore, ...]:
    """Returns what a text says about each aspect that it names, in the order of `ASPECTS`.

    Args:
        text: a review or comment in English, Chinese or both.
        lexicon: the words to go by; the default knows both languages.
    """
    lexicon = lexicon or default_lexicon()
    words, matches = lexicon.cut(text)
    evidence: list[Evidence] = []
    before: Target | None = None
    for sentence in sentences(words, matches):
        judgements, before = Sentence(words, sentence).read(before)
        evidence.extend(judgements)
    return _summed(evidence)


def _summed(evidence: Sequence[Evidence]) -> tuple[AspectScore, ...]:
    """Weighs the evidence: mean polarity, and the confidence that at least one piece is right."""
    scores = []
    said = any(one.aspect and one.weight > NAMED for one in evidence)
    for aspect in ASPECTS:
        mine = [one for one in evidence if one.aspect == aspect]
        if aspect == "quality" and not said:
            # A text that judges, and nothing in particular, judges the thing itself.
            mine = [*mine, *(one for one in evidence if not one.aspect)]
        judging = [one for one in mine if one.weight > NAMED] or mine[:1]
        if not judging:
            continue
        weight = sum(one.weight for one in judging)
        doubt = 1.0
        for one in judging:
            doubt *= 1.0 - one.weight
        polarity = sum(one.polarity * one.weight for one in judging) / weight
        scores.append(AspectScore(aspect, round(polarity, 6), round(1.0 - doubt, 6)))
    return tuple(scores)
