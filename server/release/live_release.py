"""The release that serves: data in memory, models on Triton."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from core.query.interpreter import QueryInterpreter
from core.ranking.blend import Blend
from core.ranking.relevance import RelevanceScale
from core.retrieval.source import RecallSource, RecallSources
from core.retrieval.vector_store import VectorStore
from core.text.language import EncoderLanguages
from core.text.static_encoder import StaticEncoder
from domain.manifest import Manifest
from domain.scene import Scenes
from domain.text import TextTemplate
from server.catalogue.aspects import ItemAspects
from server.catalogue.catalogue import Catalogue
from server.models.ranker import Ranker
from server.models.served_model import ServedModel
from server.models.text_encoder import TextEncoder
from server.models.user_tower import UserTower
from server.release.data import ReleaseData
from server.scenes import CatalogueFacts


@dataclass(frozen=True)
class LiveRelease:
    """A release that serves: its data and its models on Triton. Everything in it is read-only.

    Attributes:
        data: read from its files.
        content: vectors and graph of its items, as they were built.
        catalogue: its items. The vectors of items whose text the encoder cannot read carry no meaning: only shared
            words find them.
        sources: its recall sources.
        fill: the items that the encoder cannot read, for the end of a list that would be too short.
        encoder: text to vectors.
        user_tower: history to vector; None where not trained.
        ranker: features to logits; None where not trained.
        text_ranker: features of a text's candidates to logits; None where not trained.
        interpreter: reads the wishes of texts; None understands nothing.
        languages: that the encoder reads.
    """

    data: ReleaseData
    content: VectorStore
    catalogue: Catalogue
    sources: RecallSources
    fill: RecallSource
    encoder: TextEncoder
    user_tower: UserTower | None = None
    ranker: Ranker | None = None
    text_ranker: Ranker | None = None
    interpreter: QueryInterpreter | None = None
    languages: EncoderLanguages = field(default_factory=EncoderLanguages)

    @property
    def manifest(self) -> Manifest:
        """The release's description."""
        return self.data.manifest

    @property
    def release_id(self) -> str:
        """Its id."""
        return self.data.manifest.release_id

    @property
    def template(self) -> TextTemplate:
        """The template by which items and histories become text."""
        return self.data.manifest.template

    @property
    def student(self) -> StaticEncoder | None:
        """Static encoder for texts while the encoder is unavailable."""
        return self.data.student

    @cached_property
    def aspects(self) -> ItemAspects | None:
        """Review scores of items by aspect."""
        return None if self.data.aspects is None else ItemAspects(self.data.aspects)

    @property
    def blend(self) -> Blend:
        """Weights and list lengths of the sources."""
        return self.data.blend

    @property
    def relevance(self) -> RelevanceScale:
        """Weights of words and meaning, and the calibration of the scores that they give."""
        return self.data.relevance

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Least score of a candidate in a source, by its name."""
        return self.data.thresholds

    @property
    def scenes(self) -> Scenes:
        """Scenes that the release brings."""
        return self.data.scenes

    def scene_facts(self) -> CatalogueFacts:
        """Returns what scenes are checked against."""
        return CatalogueFacts(
            self.catalogue.attribute_types,
            lambda item_id: bool(self.catalogue.rows_of([item_id])),
            frozenset(source.name for source in self.sources),
        )

    def models(self) -> Iterator[ServedModel]:
        """Yields every model on Triton, the encoder first."""
        yield self.encoder.model
        yield from self.trained_models()

    def trained_models(self) -> Iterator[ServedModel]:
        """Yields every model on Triton besides the encoder."""
        if self.user_tower is not None:
            yield self.user_tower.model
        for ranker in (self.ranker, self.text_ranker):
            if ranker is not None:
                yield ranker.model
