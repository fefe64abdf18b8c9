"""Vectors of items' texts by the encoder of a live release."""

from collections.abc import Sequence

import numpy as np

from core.vectors import UNIT_TOLERANCE
from domain.errors import EncoderUnavailable
from domain.prompts import TextRole
from server.deadline import Deadline
from server.release.live_release import LiveRelease
from server.trace import Trace


async def embed_items(
    texts: Sequence[str], release: LiveRelease, deadline: Deadline, trace: Trace, unreadable_limit: float
) -> list[np.ndarray]:
    """Returns float32[d] for each item's text, unit; zeros where the encoder cannot read it.

    Raises:
        EncoderUnavailable: it does not answer, or not with unit vectors.
        Overloaded, DeadlineExceeded: not in time.
    """
    tokenized = await release.encoder.tokenize(texts, trace, TextRole.PASSAGE)
    readable = [place for place, text in enumerate(tokenized) if text.unreadable_share <= unreadable_limit]
    encoded = await release.encoder.encode([tokenized[place] for place in readable], deadline, trace)
    width = len(release.catalogue.mean)
    vectors = [np.zeros(width, np.float32) for _ in texts]
    for place, vector in zip(readable, encoded, strict=True):
        found = np.asarray(vector, np.float32)
        # NaN fails the comparison too.
        if found.shape != (width,) or not abs(float(np.linalg.norm(found)) - 1.0) <= UNIT_TOLERANCE:
            raise EncoderUnavailable("the encoder answered with something else than unit vectors; nothing was applied")
        vectors[place] = found
    return vectors
