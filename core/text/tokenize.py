"""Text to token ids with a release's own tokenizer file."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer

from core.text.scripts import KnownScripts
from domain.errors import EncoderNotUsable

LEFT, RIGHT = "left", "right"
CONFIG_FILE = "tokenizer_config.json"
DEFAULT_LENGTH = 512
# tokenizers encodes the whole text before it cuts, so longer texts are cut first; no vocabulary has longer tokens.
_BYTES_PER_TOKEN_LIMIT = 64

# Above this unreadable share a vector says nothing: the default of the gateway, and what a build counts by.
UNREADABLE_LIMIT = 0.3


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """Tokenised text, as the encoder reads it.

    Attributes:
        ids: int64[L], special tokens included, at most the encoder's limit.
        truncated: whether the text was longer.
        unknown_count: tokens of the text's own that the vocabulary does not know.
        own_count: tokens of the text's own, without special ones.
        foreign_share: share of the text's letters in scripts that the vocabulary has no words in, 0 to 1.
    """

    ids: np.ndarray
    truncated: bool
    unknown_count: int
    own_count: int
    foreign_share: float

    @property
    def unreadable_share(self) -> float:
        """Share of the text that the encoder cannot read, 0 to 1: unknown tokens, or letters it knows no words of."""
        return max(self.unknown_share, self.foreign_share)

    @property
    def unknown_share(self) -> float:
        """Share of the text's own tokens that the vocabulary does not know, 0 to 1."""
        return self.unknown_count / self.own_count if self.own_count else 0.0


def truncation_side(path: Path) -> str:
    """Returns on which side a tokenizer cuts long texts, "left" or "right".

    tokenizer_config.json beside the file says so, as transformers reads it; else the file itself; else it is the right.

    Raises:
        OSError, ValueError: the file cannot be read.
    """
    beside = path.parent / CONFIG_FILE
    side = json.loads(beside.read_text("utf-8")).get("truncation_side") if beside.is_file() else None
    if side is None:
        side = (json.loads(path.read_text("utf-8")).get("truncation") or {}).get("direction")
    return LEFT if str(side).lower() == LEFT else RIGHT


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copies a tokenizer file; what its folder says of the side of cutting is written into the copy."""
    text = source.read_text("utf-8")
    parsed = json.loads(text)
    side = truncation_side(source)
    own = (parsed.get("truncation") or {}).get("direction", "Right")
    if own.lower() == side:
        target.write_text(text, "utf-8")
        return
    tokenizer = Tokenizer.from_str(text)
    tokenizer.enable_truncation((parsed.get("truncation") or {}).get("max_length", DEFAULT_LENGTH), direction=side)
    tokenizer.save(str(target))


class TextTokenizer:
    """Thread-safe tokenizer: each thread gets an instance of its own."""

    def __init__(self, path: Path, max_tokens: int) -> None:
        """Reads the file.

        Args:
            path: `tokenizer.json` of a release or of an encoder folder.
            max_tokens: longest output, special tokens included.

        Raises:
            EncoderNotUsable: the file is no tokenizer.
        """
        try:
            self._text = path.read_text(encoding="utf-8")
            parsed = json.loads(self._text)
            self._side = truncation_side(path)
            self._scripts = KnownScripts.of_tokenizer(parsed)
            self._max_tokens = max_tokens
            self._prompts: dict[str, tuple[int, int]] = {"": (0, 0)}
            self._local = threading.local()
            tokenizer = self._instance()
        except Exception as error:  # tokenizers raises plain Exception
            raise EncoderNotUsable(f"{path} is no tokenizer file that can be read: {error}") from error
        # WordPiece and BPE name the token, Unigram gives its number, byte-level vocabularies have none.
        name, number = parsed["model"].get("unk_token"), parsed["model"].get("unk_id")
        self._unknown_id = tokenizer.token_to_id(name) if name else number

    def tokenize(self, texts: Sequence[str], prompt: str = "") -> list[TokenizedText]:
        """Returns the tokens of each text, in the same order.

        Args:
            texts: what to read.
            prompt: put before each of them. It is read by the encoder, and left out of what is counted of a text.
        """
        limit = self._max_tokens * _BYTES_PER_TOKEN_LIMIT
        cut = [text if len(text) <= limit else self._cut(text, limit) for text in texts]
        encodings = self._instance().encode_batch_fast([prompt + text for text in cut] if prompt else cut)
        prompt_counts = self._prompt_counts(prompt)
        return [
            self._tokenized(encoding, read, prompt_counts, cut_by_length=len(read) < len(text))
            for encoding, read, text in zip(encodings, cut, texts, strict=True)
        ]

    def _tokenized(
        self, encoding: Encoding, text: str, prompt_counts: tuple[int, int], *, cut_by_length: bool
    ) -> TokenizedText:
        numbers = encoding.ids
        ids = np.asarray(numbers, dtype=np.int64)
        # A tokenizer without special tokens may leave nothing of a text: one padding-like token that nobody can read.
        if not len(ids):
            return TokenizedText(np.zeros(1, dtype=np.int64), cut_by_length, 1, 1, self._scripts.foreign_share(text))
        unknown, own = self._counts(encoding, numbers)
        truncated = bool(encoding.overflowing) or cut_by_length
        return TokenizedText(
            ids,
            truncated,
            max(0, unknown - prompt_counts[0]),
            max(0, own - prompt_counts[1]),
            self._scripts.foreign_share(text),
        )

    def _counts(self, encoding: Encoding, ids: list[int]) -> tuple[int, int]:
        """Returns the numbers of unknown tokens and of all tokens, special ones left out."""
        masked = encoding.special_tokens_mask
        unknown = 0
        if self._unknown_id in ids:
            # A real [UNK] of the text carries a special-tokens mask of 0: only the post-processor's tokens are masked.
            unknown = sum(not one and token == self._unknown_id for token, one in zip(ids, masked, strict=True))
        return unknown, masked.count(0)

    def _prompt_counts(self, prompt: str) -> tuple[int, int]:
        """Returns the same for a prompt alone; a release has two of them, so they are kept."""
        counts = self._prompts.get(prompt)
        if counts is None:
            encoding = self._instance().encode(prompt)
            counts = self._prompts[prompt] = self._counts(encoding, encoding.ids)
        return counts

    def _cut(self, text: str, limit: int) -> str:
        return text[-limit:] if self._side == LEFT else text[:limit]

    def _instance(self) -> Tokenizer:
        tokenizer = getattr(self._local, "tokenizer", None)
        if tokenizer is None:
            tokenizer = Tokenizer.from_str(self._text)
            tokenizer.no_padding()
            tokenizer.enable_truncation(self._max_tokens, direction=self._side)
            # Somebody who types "[SEP]" means these characters, not the token.
            tokenizer.encode_special_tokens = True
            self._local.tokenizer = tokenizer
        return tokenizer


def pad(rows: Sequence[np.ndarray], length: int, pad_token_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Pads token ids on the right.

    Args:
        rows: int64[L_i], L_i <= length.
        length: padded length.
        pad_token_id: fills the rest.

    Returns:
        input_ids int64[B, length] and attention_mask int64[B, length].
    """
    input_ids = np.full((len(rows), length), pad_token_id, dtype=np.int64)
    attention_mask = np.zeros((len(rows), length), dtype=np.int64)
    for row, ids in enumerate(rows):
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
    return input_ids, attention_mask
