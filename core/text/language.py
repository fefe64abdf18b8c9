"""Detection of a text's language, silent where it is not sure, and the comparison with the languages of an encoder.

A wrong verdict takes a text's meaning away, a missing one leaves things as they were, so everything here leans to
silence: a short text, a name, a title proves nothing. Texts are compared by the log-odds of naive Bayes over byte
n-grams (py3langid), divided by the square root of their length in bytes, by which short and long texts compare.
"""

import math
import re
import tempfile
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Protocol

from domain.errors import StorageError

# Of Latin script; letters of others are the affair of `core.text.scripts`.
DETECTED = ("en", "fr", "de", "es", "it", "pt", "nl", "sv", "da", "no", "pl", "cs", "ro", "hu", "fi", "tr")
_REFERENCE = "en"

# Margins by which another language must lead: of the whole text, and of what is left of it without its capitals.
# Chosen on one half of the texts that bench/languages.py counts and confirmed on the other.
_LEAST_MARGIN = 3.5
_LEAST_MARGIN_IN_SMALL_LETTERS = 2.0
_FEWEST_WORDS = 3
_FEWEST_LETTERS = 10
_FEWEST_WORDS_IN_SMALL_LETTERS = 2
# What comes after that changes no verdict, and time grows with it.
_MOST_CHARACTERS = 300

_WORD = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+(?:['\u2019][A-Za-z\u00c0-\u024f\u1e00-\u1eff]+)*")
# An aside, or a title in the original.
_BRACKETED = re.compile(r"\([^()]*\)")


class _Identifier(Protocol):
    """The part of py3langid's LanguageIdentifier that is used."""

    def rank(self, text: str) -> list[tuple[str, float]]: ...


class LanguageDetector:
    """Detector of languages in Latin script. Any thread may use it; the model, some 80 MB, is read on first use."""

    def __init__(self) -> None:
        self._lock = Lock()

    def open(self) -> None:
        """Reads the model, which takes about half a second, where that was not done.

        Raises:
            StorageError: there is no room to unpack it.
        """
        with self._lock:
            try:
                _ = self._identifier
            except OSError as error:
                raise StorageError(
                    f"the model that tells languages cannot be unpacked in {tempfile.gettempdir()}: "
                    f"{error.strerror or error}; it needs 128 MB there, or in another folder that TMPDIR names"
                ) from error

    @property
    def opened(self) -> bool:
        """True once the model was read."""
        return "_identifier" in vars(self)

    def detect(self, text: str, expected: Collection[str] = (_REFERENCE,)) -> str | None:
        """Returns the language of a text where it is surely none of those expected, else None.

        Args:
            text: of any length; its beginning decides.
            expected: tags. Where none of them is in `DETECTED` there is nothing to compare with, and no verdict.
        """
        known = [tag for tag in DETECTED if tag in expected]
        words = _words(text)
        different = {word.lower() for word in words}
        if not known or len(different) < _FEWEST_WORDS or sum(map(len, different)) < _FEWEST_LETTERS:
            return None
        margins = self._margins(words, known)
        if not margins:
            return None
        language = max(margins, key=margins.__getitem__)
        if margins[language] < _LEAST_MARGIN:
            return None
        small = [word for word in words if word.islower()]
        if len(small) == len(words) or not any(character.islower() for character in text):
            return language
        # Capitals are names as a rule, and names are of any language.
        if len(small) < _FEWEST_WORDS_IN_SMALL_LETTERS:
            return None
        return language if self._margins(small, known)[language] >= _LEAST_MARGIN_IN_SMALL_LETTERS else None

    def _margins(self, words: list[str], expected: list[str]) -> dict[str, float]:
        """Returns by how much each other language leads before the best of those expected."""
        text = " ".join(words).lower()
        scale = math.sqrt(len(text.encode()))
        scores = dict(self._identifier.rank(text))
        best = max(scores[tag] for tag in expected)
        return {tag: (score - best) / scale for tag, score in scores.items() if tag not in expected}

    @cached_property
    def _identifier(self) -> _Identifier:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
        identifier.set_languages(list(DETECTED))
        return identifier  # type: ignore[no-any-return]


def _words(text: str) -> list[str]:
    """Returns the words of Latin letters, without what is in brackets; none where most letters are of other scripts."""
    read = _BRACKETED.sub(" ", unicodedata.normalize("NFC", text[:_MOST_CHARACTERS]))
    words = _WORD.findall(read)
    letters = sum(character.isalpha() for character in read)
    return words if 2 * sum(map(len, words)) >= letters else []


@dataclass(frozen=True)
class EncoderLanguages:
    """Languages that an encoder reads.

    Attributes:
        tags: BCP 47 primary tags; empty where nobody said.
        detector: compares texts with them; None compares nothing.
    """

    tags: tuple[str, ...] = ()
    detector: LanguageDetector | None = None

    def unsupported(self, text: str) -> str | None:
        """Returns the language of a text that is surely in none of them, else None."""
        if not self.tags or self.detector is None:
            return None
        return self.detector.detect(text, self.tags)
