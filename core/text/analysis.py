"""Text analysis for matching by words: one code where an index is built and where it is asked.

text -> folded (width, case, diacritics, Chinese variants, kana) -> words in their order, and extra terms beside them
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import rjieba
from opencc import OpenCC

from core.text.writing import HAN, HANGUL, INVISIBLE, UNCUT, UNSPACED, WORD, syllables

# Words, with what joins their parts ("spider-man", "iphone-13", "o'brien"); or one symbol, such as an emoji.
_TOKEN = re.compile(rf"{WORD}(?:[-'’.&/+\u200c]{WORD})*|[^\w\s]")
_PART = re.compile(WORD)
_RUN = re.compile(f"[{HAN}]+|[{UNCUT}]+|[^{UNSPACED}]+")
_IS_HAN = re.compile(f"[{HAN}]")
_IS_UNCUT = re.compile(f"[{UNCUT}]")
_IS_HANGUL = re.compile(f"[{HANGUL}]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CAMEL_CASE = re.compile(r"\b[A-Z]?[a-z]++[A-Z][A-Za-z]++\b")
_HAS_DIGIT = re.compile(r"\d")
_DIGITS_OR_LETTERS = re.compile(r"\d+|\D+")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_TATWEEL = "\u0640"
# Marks that a reader leaves out: of Latin, Greek and Cyrillic letters, the vowels of Arabic and Hebrew, and those of
# emoji. Elsewhere marks are letters.
_MARKS = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u20d0-\u20ff\ufe00-\ufe0f]")
_FOREIGN_DIGIT = re.compile(r"[^\D0-9]")
_HIRAGANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}
# Nobody searches for a longer run of letters.
_MOST_LETTERS = 64
_STEM_SUFFIXES = (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("s", ""))


@dataclass(frozen=True, slots=True)
class Analyzed:
    """Text as it is matched.

    Attributes:
        words: in the order of the text, for phrases.
        extra: terms beside them, each once: parts and joined forms of compounds, singulars, single Chinese characters,
            pairs of Korean syllables.
    """

    words: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def terms(self) -> tuple[str, ...]:
        """Words and extra terms, each once."""
        return tuple(dict.fromkeys((*self.words, *self.extra)))


def fold(text: str) -> str:
    """Returns the text as it is compared: one form for widths, cases, accents, digits, Chinese variants and kana."""
    folded = text if text.isascii() else unicodedata.normalize("NFKC", text)
    folded = folded.casefold()
    if folded.isascii():
        return folded
    folded = _MARKS.sub("", unicodedata.normalize("NFD", folded)).replace(_TATWEEL, "")
    folded = unicodedata.normalize("NFC", INVISIBLE.sub("", folded)).translate(_HIRAGANA)
    folded = _FOREIGN_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit.group())), folded)
    return _simplified(folded) if _IS_HAN.search(folded) else folded


def analyze(text: str) -> Analyzed:
    """Returns the terms of a text."""
    words: list[str] = []
    extra: dict[str, None] = {}
    for token in _TOKEN.findall(fold(text)):
        _add(token, words, extra)
    extra.update(dict.fromkeys(_models(words)))
    for name in _CAMEL_CASE.findall(text):
        extra.update(dict.fromkeys(part.casefold() for part in _CAMEL.split(name)))
    return Analyzed(tuple(words), tuple(term for term in extra if term))


def singular(word: str) -> str:
    """Returns an English word without its plural ending; the word itself where it has none."""
    if len(word) > 3 and word.isascii() and word.isalpha():
        for suffix, instead in _STEM_SUFFIXES:
            if word.endswith(suffix) and not word.endswith(("ss", "us", "is")):
                return word[: -len(suffix)] + instead
    return word


def plurals(word: str) -> tuple[str, ...]:
    """Returns the forms of which `singular` may make an English word, the likeliest first."""
    forms = [f"{word}s", f"{word}es"]
    if word.endswith(("s", "x", "ch", "sh")):
        forms.reverse()
    if word.endswith("y"):
        forms.insert(0 if word[-2:-1] not in "aeiou" else 1, f"{word[:-1]}ies")
    return tuple(forms)


def other_number(word: str) -> str:
    """Returns an English noun's plural, or its singular where it is one."""
    one = singular(word)
    return one if one != word else plurals(word)[0]


def _add(token: str, words: list[str], extra: dict[str, None]) -> None:
    parts = _PART.findall(token)
    if not parts:
        if not token.isascii() and unicodedata.category(token)[0] == "S":
            words.append(token)
        return
    for part in parts:
        for run in _RUN.findall(part):
            if _IS_HAN.match(run):
                _add_chinese(run, words, extra)
            elif _IS_UNCUT.match(run):
                _add_pairs(run, words, extra)
            else:
                _add_word(run[:_MOST_LETTERS], words, extra)
    if len(parts) > 1 and len(token) <= _MOST_LETTERS:
        extra["".join(parts)] = None


def _add_word(run: str, words: list[str], extra: dict[str, None]) -> None:
    parts = _letters_and_digits(run) if _HAS_DIGIT.search(run) else [run]
    if len(parts) > 1:
        extra[run] = None
    words.extend(parts)
    for part in parts:
        stem = singular(part)
        if stem != part:
            extra[stem] = None
    # A Korean word ends in its particles: "coffee" and "the coffee" begin alike.
    if _IS_HANGUL.match(run):
        extra.update(dict.fromkeys(run[place : place + 2] for place in range(len(run) - 1)))


def _letters_and_digits(run: str) -> list[str]:
    """Returns the words and numbers of "iphone13"; a single letter stays with its digits ("4e10", "90s")."""
    parts = _DIGITS_OR_LETTERS.findall(run)
    if _ORDINAL.fullmatch(run) or any(len(part) == 1 and not part.isdigit() for part in parts):
        return [run]
    return parts


def _models(words: list[str]) -> Iterator[str]:
    """Yields single letters joined with the number beside them: "x 100" is "x100"."""
    for first, second in itertools.pairwise(words):
        number, letter = (first, second) if first.isdigit() else (second, first)
        if len(letter) == 1 and letter.isascii() and letter.isalpha() and number.isascii() and number.isdigit():
            yield first + second


def _add_pairs(run: str, words: list[str], extra: dict[str, None]) -> None:
    """Adds every two letters that follow one another, marks included, and letters that have marks."""
    letters = syllables(run)
    words.extend("".join(letters[place : place + 2]) for place in range(max(len(letters) - 1, 1)))
    extra.update(dict.fromkeys(letter for letter in letters if len(letter) > 1))


def _add_chinese(run: str, words: list[str], extra: dict[str, None]) -> None:
    cut = rjieba.cut(run)
    words.extend(cut)
    extra.update(dict.fromkeys(rjieba.cut_for_search(run)))
    extra.update(dict.fromkeys(run))


@lru_cache(maxsize=1)
def _converter() -> OpenCC:
    return OpenCC("t2s")


def _simplified(text: str) -> str:
    converted: str = _converter().convert(text)
    return converted
