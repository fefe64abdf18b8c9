"""Text to vectors by the live release's encoder: tokenise, batch, Triton."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

import numpy as np

from core.text.tokenize import TextTokenizer, TokenizedText
from domain.errors import EncoderUnavailable, ModelUnavailable
from domain.prompts import Prompts, TextRole
from server.deadline import Deadline
from server.models.batcher import Batcher, BatchLimits, BatchObserver
from server.models.served_model import ServedModel
from server.trace import Trace

# Tokenising this many characters takes a fraction of a millisecond; a hop to a thread costs as much.
_INLINE_CHARACTERS = 1_000
# Of many texts, as many are tokenised, or wait for a batch, at a time: those of other callers get in between.
_TEXTS_IN_TURN = 32


@dataclass(frozen=True)
class TextEncoder:
    """The encoder of a live release.

    Attributes:
        tokenizer: the release's own.
        model: on Triton.
        batcher: in front of it.
        workers: threads for long texts.
        prompts: the release's, put before a text by its role.
    """

    tokenizer: TextTokenizer
    model: ServedModel
    batcher: Batcher
    workers: Executor
    prompts: Prompts = field(default_factory=Prompts)

    async def tokenize(
        self, texts: Sequence[str], trace: Trace, role: TextRole = TextRole.PLAIN
    ) -> list[TokenizedText]:
        """Returns the tokens of each text; long texts are tokenised in a worker thread, many of them in turns."""
        prompt = self.prompts.of(role)
        with trace.stage("tokenize"):
            if sum(len(text) for text in texts) <= _INLINE_CHARACTERS:
                return self.tokenizer.tokenize(texts, prompt)
            tokenized: list[TokenizedText] = []
            for start in range(0, len(texts), _TEXTS_IN_TURN):
                turn = texts[start : start + _TEXTS_IN_TURN]
                tokenized += await asyncio.get_running_loop().run_in_executor(
                    self.workers, self.tokenizer.tokenize, turn, prompt
                )
            return tokenized

    async def encode(self, tokenized: Sequence[TokenizedText], deadline: Deadline, trace: Trace) -> list[np.ndarray]:
        """Returns float32[d] unit vectors in the same order; many texts are encoded in turns, short ones first.

        Raises:
            Overloaded, DeadlineExceeded, EncoderUnavailable: as `Batcher.encode`.
        """
        # Texts of like lengths share batches without padding.
        places = sorted(range(len(tokenized)), key=lambda place: len(tokenized[place].ids))
        vectors: dict[int, np.ndarray] = {}
        for start in range(0, len(places), _TEXTS_IN_TURN):
            turn = places[start : start + _TEXTS_IN_TURN]
            encoded = await self.batcher.encode([tokenized[place].ids for place in turn], deadline)
            for place, text in zip(turn, encoded, strict=True):
                trace.record("queue", text.queued_s, text.sent_s)
                trace.record("triton", text.sent_s, text.answered_s)
                vectors[place] = text.vector
        return [vectors[place] for place in range(len(places))]


def encoder_batcher(model: ServedModel, limits: BatchLimits, observer: BatchObserver) -> Batcher:
    """Returns a batcher in front of an encoder on Triton."""

    async def encode(input_ids: np.ndarray, attention_mask: np.ndarray, timeout_s: float) -> np.ndarray:
        try:
            return await model.infer({"input_ids": input_ids, "attention_mask": attention_mask}, timeout_s)
        except ModelUnavailable as error:
            raise EncoderUnavailable(str(error)) from error

    return Batcher(encode, limits, observer)
