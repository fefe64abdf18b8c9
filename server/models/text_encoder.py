"""Text to vectors by the live release's encoder: tokenise, batch, Triton."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from core.text.static_encoder import StaticEncoder
from core.text.tokenize import TextTokenizer, TokenizedText
from domain.errors import EncoderUnavailable, ModelUnavailable
from domain.prompts import Prompts, TextRole
from server.deadline import Deadline
from server.models.batcher import Batcher, BatchObserver
from server.models.embedding_cache import EmbeddingCache
from server.models.served_model import ServedModel
from server.models.text_queue import BatchLimits
from server.trace import Trace

# Tokenising this many bytes takes a fraction of a millisecond; a hop to a thread costs as much. Bytes of UTF-8 are
# counted because an ideograph of three bytes is a token of its own, and costs as much as a short word.
_INLINE_BYTES = 1_000
# Of many texts, as many are tokenised, or wait for a batch, at a time: those of other callers get in between.
_TEXTS_IN_TURN = 32
# They have as many tokens at first: a fifth of a second of two cores. What follows has half as many after a turn that
# took longer than the one time, but not so few that calls cost more than texts, and twice as many after one that took
# less than the other: on a GPU a turn is 32 texts.
_TOKENS_IN_TURN = 1_024
_FEWEST_TOKENS_IN_TURN = 256
_LONG_TURN_S = 0.15
_SHORT_TURN_S = 0.06


@dataclass(frozen=True)
class TextEncoder:
    """The encoder of a live release.

    Attributes:
        tokenizer: the release's own.
        model: on Triton.
        batcher: in front of it.
        workers: threads for long texts.
        prompts: the release's, put before a text by its role.
        cache: vectors of texts that were asked before; None keeps none.
        student: takes the encoder's place, without Triton; None asks the encoder.
    """

    tokenizer: TextTokenizer
    model: ServedModel
    batcher: Batcher
    workers: Executor
    prompts: Prompts = field(default_factory=Prompts)
    cache: EmbeddingCache | None = None
    student: StaticEncoder | None = None

    async def tokenize(
        self, texts: Sequence[str], trace: Trace, role: TextRole = TextRole.PLAIN
    ) -> list[TokenizedText]:
        """Returns the tokens of each text; long texts are tokenised in a worker thread, many of them in turns."""
        prompt = self.prompts.of(role) if self.student is None else ""
        tokenizer = self.tokenizer if self.student is None else self.student.tokenizer
        with trace.stage("tokenize"):
            if sum(len(text.encode()) for text in texts) <= _INLINE_BYTES:
                return tokenizer.tokenize(texts, prompt)
            tokenized: list[TokenizedText] = []
            for start in range(0, len(texts), _TEXTS_IN_TURN):
                turn = texts[start : start + _TEXTS_IN_TURN]
                tokenized += await asyncio.get_running_loop().run_in_executor(
                    self.workers, tokenizer.tokenize, turn, prompt
                )
            return tokenized

    async def encode(self, tokenized: Sequence[TokenizedText], deadline: Deadline, trace: Trace) -> list[np.ndarray]:
        """Returns float32[d] unit vectors in the same order; many texts are encoded in turns, short ones first.

        Raises:
            Overloaded, DeadlineExceeded, EncoderUnavailable: as `Batcher.encode`.
        """
        token_ids = [text.ids for text in tokenized]
        if self.student is not None:
            return list(self.student.table.embed_all(token_ids))
        vectors = {} if self.cache is None else self.cache.find(token_ids)
        missing = [place for place in range(len(tokenized)) if place not in vectors]
        computed = await self._computed([tokenized[place] for place in missing], deadline, trace)
        for place, vector in zip(missing, computed, strict=True):
            vectors[place] = vector
            if self.cache is not None:
                self.cache.keep(token_ids[place], vector)
        return [vectors[place] for place in range(len(tokenized))]

    async def _computed(self, tokenized: Sequence[TokenizedText], deadline: Deadline, trace: Trace) -> list[np.ndarray]:
        """Has the vectors computed by the encoder, in turns."""
        loop = asyncio.get_running_loop()
        # Texts of like lengths share batches without padding.
        places = sorted(range(len(tokenized)), key=lambda place: len(tokenized[place].ids))
        vectors: dict[int, np.ndarray] = {}
        most_tokens = float(_TOKENS_IN_TURN)
        while len(vectors) < len(places):
            turn = _turn(places[len(vectors) :], tokenized, most_tokens)
            started_s = loop.time()
            encoded = await self.batcher.encode([tokenized[place].ids for place in turn], deadline)
            took_s = loop.time() - started_s
            if took_s > _LONG_TURN_S:
                most_tokens = max(most_tokens / 2, _FEWEST_TOKENS_IN_TURN)
            elif took_s < _SHORT_TURN_S:
                most_tokens *= 2
            for place, text in zip(turn, encoded, strict=True):
                trace.record("queue", text.queued_s, text.sent_s)
                trace.record("triton", text.sent_s, text.answered_s)
                vectors[place] = text.vector
        return [vectors[place] for place in range(len(places))]


def _turn(places: Sequence[int], tokenized: Sequence[TokenizedText], most_tokens: float) -> Sequence[int]:
    """Returns the first of some places, ascending by length, that fit into one turn; at least one."""
    count = 1
    while count < min(_TEXTS_IN_TURN, len(places)):
        if (count + 1) * len(tokenized[places[count]].ids) > most_tokens:
            break
        count += 1
    return places[:count]


def encoder_batcher(model: ServedModel, limits: BatchLimits, observer: BatchObserver) -> Batcher:
    """Returns a batcher in front of an encoder on Triton."""

    async def encode(input_ids: np.ndarray, attention_mask: np.ndarray, timeout_s: float) -> np.ndarray:
        try:
            return await model.infer({"input_ids": input_ids, "attention_mask": attention_mask}, timeout_s)
        except ModelUnavailable as error:
            raise EncoderUnavailable(str(error)) from error

    return Batcher(encode, limits, observer)
