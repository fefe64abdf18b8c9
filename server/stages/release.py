"""The release as the stages of a request use it."""

from collections.abc import Mapping
from typing import Protocol

from core.ranking.blend import Blend
from core.ranking.relevance import RelevanceScale
from core.retrieval.source import RecallSource, RecallSources
from core.text.language import EncoderLanguages
from core.text.static_encoder import StaticEncoder
from domain.scene import Scenes
from domain.text import TextTemplate
from server.catalogue.aspects import ItemAspects
from server.catalogue.catalogue import Catalogue
from server.models.ranker import Ranker
from server.models.text_encoder import TextEncoder
from server.models.user_tower import UserTower
from server.stages.understand import TextInterpreter


class ServingRelease(Protocol):
    """A release as one request sees it. What was not trained is None, or empty."""

    @property
    def release_id(self) -> str:
        """Its id, in every reply."""

    @property
    def template(self) -> TextTemplate:
        """The template by which items and histories become text."""

    @property
    def catalogue(self) -> Catalogue:
        """Its items."""

    @property
    def sources(self) -> RecallSources:
        """Its recall sources."""

    @property
    def fill(self) -> RecallSource:
        """The source of items for the end of a list that would be too short."""

    @property
    def encoder(self) -> TextEncoder:
        """Text to vectors."""

    @property
    def languages(self) -> EncoderLanguages:
        """The languages that the encoder reads."""

    @property
    def student(self) -> StaticEncoder | None:
        """Text to vectors while the encoder is unavailable."""

    @property
    def user_tower(self) -> UserTower | None:
        """Events to the user's embedding."""

    @property
    def ranker(self) -> Ranker | None:
        """Orders candidates."""

    @property
    def text_ranker(self) -> Ranker | None:
        """Says how likely a text's candidates are chosen."""

    @property
    def aspects(self) -> ItemAspects | None:
        """Review scores of items by aspect."""

    @property
    def blend(self) -> Blend:
        """The weights and list lengths of the sources."""

    @property
    def interpreter(self) -> TextInterpreter | None:
        """Reads the wishes of texts."""

    @property
    def relevance(self) -> RelevanceScale:
        """Weights of words and meaning, and the calibration of the scores that they give."""

    @property
    def scenes(self) -> Scenes:
        """Scenes that the release brings."""

    @property
    def thresholds(self) -> Mapping[str, float]:
        """Least score of a candidate in a source, by its name."""
