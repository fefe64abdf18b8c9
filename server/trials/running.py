"""A trial under way: its plan, the release that it serves, and its figures."""

from collections.abc import Callable
from dataclasses import dataclass, field

from core.retrieval.trending import Trends
from server.observability.comparison import ShadowFigures
from server.release.following import FollowingRelease
from server.release.live_release import LiveRelease
from server.release.trending import TrendingView
from server.trials.trial import TrialPlan


@dataclass(frozen=True, eq=False)
class RunningTrial:
    """A trial under way.

    Attributes:
        plan: as it was asked for.
        serving: its release over the catalogue's changes.
        trends: returns what is trending; None where no events are kept.
        figures: of a shadow.
    """

    plan: TrialPlan
    serving: FollowingRelease
    trends: Callable[[], Trends | None]
    figures: ShadowFigures = field(default_factory=ShadowFigures)
    _trending: TrendingView = field(default_factory=TrendingView)

    def view(self) -> LiveRelease:
        """Returns the release with the changes of this moment; it stays so."""
        view, trends = self.serving.view, self.trends()
        return view if trends is None else self._trending.over(view, trends)
