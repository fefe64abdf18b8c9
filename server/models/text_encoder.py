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
        """Returns the tokens of each text; long texts are tokenised in a worker thread."""
        prompt = self.prompts.of(role)
        with trace.stage("tokenize"):
            if sum(len(text) for text in texts) <= _INLINE_CHARACTERS:
                return self.tokenizer.tokenize(texts, prompt)
            return await asyncio.get_running_loop().run_in_executor(
                self.workers, self.tokenizer.tokenize, texts, prompt
            )

    async def encode(self, tokenized: Sequence[TokenizedText], deadline: Deadline, trace: Trace) -> list[np.ndarray]:
        """Returns float32[d] unit vectors in the same order.

        Raises:
            Overloaded, DeadlineExceeded, EncoderUnavailable: as `Batcher.encode`.
        """
        encoded = await self.batcher.encode([text.ids for text in tokenized], deadline)
        for text in encoded:
            trace.record("queue", text.queued_s, text.sent_s)
            trace.record("triton", text.sent_s, text.answered_s)
        return [text.vector for text in encoded]


def encoder_batcher(model: ServedModel, limits: BatchLimits, observer: BatchObserver) -> Batcher:
    """Returns a batcher in front of an encoder on Triton."""

    async def encode(input_ids: np.ndarray, attention_mask: np.ndarray, timeout_s: float) -> np.ndarray:
        try:
            return await model.infer({"input_ids": input_ids, "attention_mask": attention_mask}, timeout_s)
        except ModelUnavailable as error:
            raise EncoderUnavailable(str(error)) from error

    return Batcher(encode, limits, observer)
