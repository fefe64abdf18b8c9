"""A request with what its first stages made of it: what its list, items and explanations are made from."""

from dataclasses import dataclass

from domain.condition import Condition
from domain.recommendation import RecommendQuery
from server.models.ranker import Ranker
from server.stages.arrange_scores import score_adjustment
from server.stages.history import History
from server.stages.recall import RecallRequest
from server.stages.release import ServingRelease
from server.stages.represent import Represented
from server.stages.scope import scope_of
from server.stages.shortlist import ListRequest
from server.stages.text_order import TextRequest
from server.stages.understand import Understood
from server.stages.wording import Wordings


@dataclass(frozen=True)
class StagedRequest:
    """A request with what its first stages made of it.

    Attributes:
        query: the request.
        understood: its text.
        history: the caller's.
        represented: its vectors.
        release: that answers.
        wordings: of explanations, by language.
    """

    query: RecommendQuery
    understood: Understood
    history: History
    represented: Represented
    release: ServingRelease
    wordings: Wordings

    @property
    def named_wishes(self) -> tuple[Condition, ...]:
        """Conditions that the request prefers, or that its text names."""
        return (*self.query.preferences, *(wish.condition for wish in self.understood.interpretation.wishes))

    @property
    def ranker(self) -> Ranker | None:
        """The ranker that is asked: a text's own, else that of histories; None where none can answer."""
        if self.represented.by_text and self.release.text_ranker is not None:
            return self.release.text_ranker
        return self.release.ranker if len(self.history.events) else None

    def for_list(self) -> ListRequest:
        """Returns what its list is made from.

        Raises:
            InvalidRequest: a condition does not fit the catalogue's attributes.
        """
        recall_request = RecallRequest.of(self.query, self.history, self.represented, self.release)
        scope = scope_of(self.query, self.understood, self.history, self.release)
        arrangement = self.query.arrangement
        return ListRequest(
            recall_request,
            TextRequest(recall_request.query, self.query.personalization, self.history.aspects),
            self.history,
            scope,
            self.release,
            self.query.min_relevance if recall_request.by_text else None,
            self.understood.interpretation.orders,
            score_adjustment(arrangement, len(scope.blocked), self.release),
            whole_passes=bool(arrangement.new_share),
            fallback=self.query.fallback,
        )
