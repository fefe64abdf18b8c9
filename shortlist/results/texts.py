"""The results of the calls that rank and embed texts."""

from array import array
from dataclasses import dataclass

from shortlist.results.call import Degradation, StageTimes


@dataclass(frozen=True, slots=True)
class RankedText:
    """One ranked text.

    Attributes:
        index: its place among the candidates, from 0.
        id: its id; empty where none was given.
        rank: its place in the reply, from 1.
        score: the sort key, higher is better; comparable within one reply only.
        similarity: cosine to the query, else to the history; None where the encoder cannot read one of them.
        relevance: how likely it is what the query asks for, 0 to 1; None without a query.
        choice_probability: how likely it is chosen rather than another candidate; they sum to 1 over all candidates.
        matched_terms: words of the query that it shares.
    """

    index: int
    id: str
    rank: int
    score: float
    similarity: float | None
    relevance: float | None
    choice_probability: float
    matched_terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextRanking:
    """Texts in the order in which they suit a query, a history, or both.

    Attributes:
        results: best first.
        release_id: the release whose encoder answered.
        stage_times: where the time went.
        degradations: in what ways the reply is worse than a full one.
        unknown_item_ids: ids of the history that the catalogue does not have.
        request_id: the id under which the gateway logged the call.
    """

    results: tuple[RankedText, ...]
    release_id: str
    stage_times: StageTimes
    degradations: tuple[Degradation, ...]
    unknown_item_ids: tuple[str, ...]
    request_id: str


@dataclass(frozen=True, slots=True)
class Embedding:
    """One text's vector.

    Attributes:
        vector: float32 numbers, as many as the release's dimension, of unit length, or nearly so where it was sent as
            float16 or int8. `numpy.asarray` takes it as it is.
        token_count: encoder tokens, special ones included, after the cut.
        truncated: whether the text was cut to the encoder's limit.
        unknown_token_share: share of the text's tokens that the vocabulary does not know, 0 to 1.
    """

    vector: "array[float]"
    token_count: int
    truncated: bool
    unknown_token_share: float


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The vectors of several texts.

    Attributes:
        embeddings: one for each text, in the same order.
        release_id: the release whose encoder answered.
        stage_times: where the time went.
    """

    embeddings: tuple[Embedding, ...]
    release_id: str
    stage_times: StageTimes

    @property
    def vectors(self) -> "list[array[float]]":
        """The vectors alone, in the order of the texts."""
        return [embedding.vector for embedding in self.embeddings]
