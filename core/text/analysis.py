"""Text analysis for matching by words: one code where an index is built and where it is asked.

text -> folded (width, case, diacritics, Chinese variants, kana) -> words in their order, and extra terms beside them
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import rjieba
from opencc import OpenCC

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff" + _HAN
# Words, with what joins their parts ("spider-man", "iphone-13", "o'brien"); or one symbol, such as an emoji.
_TOKEN = re.compile(r"[^\W_]+(?:[-'’.&/+][^\W_]+)*|[^\w\s]")
_PART = re.compile(r"[^\W_]+")
_RUN = re.compile(f"[{_HAN}]+|[{_UNSPACED}]+|[^{_UNSPACED}]+")
_IS_HAN = re.compile(f"[{_HAN}]")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CAMEL_CASE = re.compile(r"\b[A-Z]?[a-z]+[A-Z][A-Za-z]+\b")
_TATWEEL = "\u0640"
# Marks that a reader leaves out: of Latin, Greek and Cyrillic letters, and the vowels of Arabic and Hebrew. Elsewhere
# marks are letters.
_MARKS = re.compile("[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670]")
_HIRAGANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}
# A longer run of letters is no word that anybody searches for.
_MOST_LETTERS = 64
_STEM_SUFFIXES = (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("s", ""))


@dataclass(frozen=True, slots=True)
class Analyzed:
    """Text as it is matched.

    Attributes:
        words: in the order of the text, for phrases.
        extra: terms beside them, each once: parts and joined forms of compounds, singulars, single Chinese characters.
    """

    words: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def terms(self) -> tuple[str, ...]:
        """Words and extra terms, each once."""
        return tuple(dict.fromkeys((*self.words, *self.extra)))


def fold(text: str) -> str:
    """Returns the text as it is compared: one form for all widths, cases, accents, Chinese variants and kana."""
    folded = text if text.isascii() else unicodedata.normalize("NFKC", text)
    folded = folded.casefold()
    if folded.isascii():
        return folded
    folded = _MARKS.sub("", unicodedata.normalize("NFD", folded)).replace(_TATWEEL, "")
    folded = unicodedata.normalize("NFC", folded).translate(_HIRAGANA)
    return _simplified(folded) if _IS_HAN.search(folded) else folded


def analyze(text: str) -> Analyzed:
    """Returns the terms of a text."""
    words: list[str] = []
    extra: dict[str, None] = {}
    for token in _TOKEN.findall(fold(text)):
        _add(token, words, extra)
    for name in _CAMEL_CASE.findall(text):
        extra.update(dict.fromkeys(part.casefold() for part in _CAMEL.split(name)))
    return Analyzed(tuple(words), tuple(term for term in extra if term))


def key(text: str) -> str:
    """Returns what two titles, or two values, have in common that are the same to a reader."""
    return " ".join(analyze(text).words)


def singular(word: str) -> str:
    """Returns an English word without its plural ending; the word itself where it has none."""
    if len(word) > 3 and word.isascii() and word.isalpha():
        for suffix, instead in _STEM_SUFFIXES:
            if word.endswith(suffix) and not word.endswith(("ss", "us", "is")):
                return word[: -len(suffix)] + instead
    return word


def _add(token: str, words: list[str], extra: dict[str, None]) -> None:
    parts = _PART.findall(token)
    if not parts:
        if not token.isascii() and unicodedata.category(token)[0] == "S":
            words.append(token)
        return
    for part in parts:
        for run in _RUN.findall(part[:_MOST_LETTERS]):
            if _IS_HAN.match(run):
                _add_chinese(run, words, extra)
            elif _IS_UNSPACED.match(run):
                words.extend(run[place : place + 2] for place in range(max(len(run) - 1, 1)))
            else:
                words.append(run)
                stem = singular(run)
                if stem != run:
                    extra[stem] = None
    if len(parts) > 1 and len(token) <= _MOST_LETTERS:
        extra["".join(parts)] = None


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
