"""Pinyin of Chinese titles and values, without tones, for callers who type it."""

import re

import rjieba
from pypinyin import lazy_pinyin

from core.retrieval.lexical_document import Spelling
from core.text.analysis import analyze, fold
from core.text.writing import HAN

_RUN = re.compile(f"[{HAN}]+|[^{HAN}]+")
_IS_HAN = re.compile(f"[{HAN}]")
_NOTHING = Spelling((), ())


def spelling(text: str) -> Spelling:
    """Returns how a text is written in pinyin; nothing for one without two Chinese characters.

    As a whole it is written in words, in one word, or in syllables. A word of one syllable is not a term by itself:
    many of them are English words.
    """
    words: list[str] = []
    syllables: list[str] = []
    terms: list[str] = []
    for run in _RUN.findall(fold(text)):
        if not _IS_HAN.match(run):
            others = analyze(run).words
            words += others
            syllables += others
            continue
        for word in rjieba.cut(run):
            spelt = lazy_pinyin(word)
            words.append("".join(spelt))
            syllables += spelt
            terms += ["".join(spelt)] if len(spelt) > 1 else []
    if len(_IS_HAN.findall(text)) < 2:
        return _NOTHING
    joined = "".join(words)
    wholes = (" ".join(words), joined, " ".join(syllables))
    return Spelling(tuple(dict.fromkeys(wholes)), tuple(dict.fromkeys((*terms, joined))))
