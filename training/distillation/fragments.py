"""Fragments of texts as further training texts, so that a student also learns texts as short as queries."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from domain.errors import EncoderNotUsable

# Ends of sentences and the joints of a text template, in English and Chinese.
_JOINT = re.compile(r"(?<=[.!?;\n])\s+|(?<=[。！？；])")
_WORD = re.compile(r"\S+")
_CHARACTERS_PER_WORD = 4  # a run without spaces (Chinese) is cut every so many characters
_LONGEST_WORD = 24
_MOST_WORDS = 8


@dataclass(frozen=True)
class Fragments:
    """Texts cut from others.

    Attributes:
        texts: the pieces, none blank.
        source: int64[len(texts)], the place of the text that each was cut from.
    """

    texts: tuple[str, ...]
    source: np.ndarray


def cut_fragments(texts: Sequence[str], per_text: float, seed: int) -> Fragments:
    """Cuts pieces at random: one part, several parts (field dropout), or a run of up to eight words.

    Args:
        texts: whole texts.
        per_text: pieces of a text on average; a text of one word gives none.
        seed: the same seed, the same pieces.
    """
    rng = np.random.default_rng(seed)
    pieces: list[str] = []
    source: list[int] = []
    for place, text in enumerate(texts):
        count = int(per_text) + int(rng.random() < per_text % 1)
        parts, words = text_parts(text), _words(text)
        for kind in range(count):
            piece = _piece(parts, words, kind % 3, rng)
            if piece and piece != text:
                pieces.append(piece)
                source.append(place)
    return Fragments(tuple(pieces), np.asarray(source, np.int64))


@dataclass(frozen=True)
class TextSample:
    """Texts that a student is distilled from.

    Attributes:
        texts: whole texts, distinct, then fragments.
        whole_count: how many whole texts.
        held_out: bool[len(texts)], to be left out of training: some whole texts and all fragments of these.
    """

    texts: list[str]
    whole_count: int
    held_out: np.ndarray


def sample_texts(
    texts: Sequence[str], fragments_per_text: float, most_texts: int, held_out: float, seed: int
) -> TextSample:
    """Draws texts and fragments, at most `most_texts` in all, and the share of them that is held out.

    Raises:
        EncoderNotUsable: no text has anything in it.
    """
    distinct = sorted({text for text in texts if text.strip()})
    if not distinct:
        raise EncoderNotUsable("there are no texts to distil from; expected at least one that is not blank")
    rng = np.random.default_rng(seed)
    distinct = [distinct[place] for place in rng.permutation(len(distinct))[:most_texts]]
    pieces = cut_fragments(distinct, fragments_per_text, seed)
    kept = np.sort(rng.permutation(len(pieces.texts))[: most_texts - len(distinct)])
    sources = np.concatenate([np.arange(len(distinct)), pieces.source[kept]])
    is_held_out = sources < round(held_out * len(distinct))
    return TextSample(distinct + [pieces.texts[place] for place in kept], len(distinct), is_held_out)


def text_parts(text: str) -> list[str]:
    """Returns title, attributes and sentences of a text, as far as its punctuation separates them."""
    return [part.strip() for part in _JOINT.split(text) if part.strip(" .。")]


def _piece(parts: list[str], words: list[str], kind: int, rng: np.random.Generator) -> str:
    if len(parts) > 1 and kind == 0:
        return parts[rng.integers(len(parts))]
    if len(parts) > 1 and kind == 1:
        kept = rng.random(len(parts)) < rng.uniform(0.2, 0.9)
        return " ".join(part for part, keep in zip(parts, kept, strict=True) if keep)
    if len(words) < 2:
        return ""
    length = int(rng.integers(1, min(_MOST_WORDS, len(words) - 1) + 1))
    start = int(rng.integers(0, len(words) - length + 1))
    return "".join(words[start : start + length]).strip()


def _words(text: str) -> list[str]:
    """Returns the words of a text, each with the space after it, so that a joined run equals the text."""
    words: list[str] = []
    for match in _WORD.finditer(text):
        word = match.group()
        if len(word) <= _LONGEST_WORD:
            words.append(word + " ")
        else:
            words += [word[at : at + _CHARACTERS_PER_WORD] for at in range(0, len(word), _CHARACTERS_PER_WORD)]
    return words
