"""Tables of a release brought up to date by the stored events that came after it was built.

Popularity, what goes by it (new items, categories, the ranker's facts) and items' neighbours are replaced; everything
else stays as it was trained.
"""

from dataclasses import dataclass, replace

import numpy as np

from core.ranking.blend import PRIOR
from core.ranking.match_calibration import MatchCalibration
from core.retrieval.category_popular import CategoryPopularSource
from core.retrieval.choice_counts import ChoiceCounts
from core.retrieval.collaborative import CollaborativeSource
from core.retrieval.fresh import FreshSource
from core.retrieval.log_tables import co_chosen, evidence_of, updated_neighbours, updated_popularity
from core.retrieval.popular import PopularSource
from core.retrieval.source import RecallSource
from server.models.ranker import Ranker
from server.release.live_release import LiveRelease
from server.users.outcomes import ShownItems

# Where a release has no trained tables, so many users must have chosen something before their choices recommend.
LEAST_USERS = 100
# Fewer shown items, or fewer chosen among them, leave the trained calibration as it is.
LEAST_SHOWN = 2_000
LEAST_CHOSEN = 200


@dataclass(frozen=True)
class LogTables:
    """Tables of one moment.

    Attributes:
        popular: log P(i) with the users who came since; None where there is too little to say anything.
        collaborative: neighbours with the choices made since; None where there is too little.
        user_count: users who chose something since the release was built.
        calibration: of the ranker's logits, corrected by what came of shown items; None where there is too little.
    """

    popular: PopularSource | None
    collaborative: CollaborativeSource | None
    user_count: int
    calibration: MatchCalibration | None = None

    @classmethod
    def of(cls, release: LiveRelease, counts: ChoiceCounts, shown: ShownItems | None = None) -> "LogTables":
        """Makes the tables; takes seconds with hundreds of thousands of items, and belongs into a thread.

        Args:
            release: as it was loaded with the catalogue of this moment, without earlier tables.
            counts: of choices since it was built.
            shown: items that it showed, and their outcome.
        """
        found = release.catalogue.rows_of(counts.item_ids)
        rows = np.array([found.get(item_id, -1) for item_id in counts.item_ids], np.int64)
        row_count = max(len(release.data.items), int(rows.max(initial=-1)) + 1)
        users = np.zeros(row_count)
        users[rows[rows >= 0]] = counts.users()[rows >= 0]
        popular = release.data.tables.get(PRIOR)
        trained = popular if isinstance(popular, PopularSource) else None
        neighbours = release.data.tables.get(CollaborativeSource.name)
        table = neighbours.table if isinstance(neighbours, CollaborativeSource) else None
        enough = counts.user_count >= LEAST_USERS
        chosen = co_chosen(counts, rows, row_count) if table is not None or enough else None
        return cls(
            updated_popularity(trained, users, release.sources.order) if trained is not None or enough else None,
            None
            if chosen is None
            else CollaborativeSource(updated_neighbours(table, chosen, evidence_of(users, trained))),
            counts.user_count,
            _corrected(release.ranker, shown),
        )

    def over(self, release: LiveRelease) -> LiveRelease:
        """Returns a release with these tables; its catalogue must be as it was built, changes come after."""
        instead: dict[str, RecallSource] = {}
        if self.popular is not None:
            instead[PRIOR] = self.popular
        if self.collaborative is not None:
            instead[CollaborativeSource.name] = self.collaborative
        sources = [self._remade(instead.pop(source.name, source)) for source in release.sources]
        return replace(
            release,
            sources=replace(release.sources, sources=(*sources, *instead.values())),
            ranker=self._calibrated(self._informed(release.ranker)),
            text_ranker=self._informed(release.text_ranker),
        )

    def _remade(self, source: RecallSource) -> RecallSource:
        if self.popular is not None and isinstance(source, FreshSource | CategoryPopularSource):
            return source.with_popularity(self.popular)
        return source

    def _calibrated(self, ranker: Ranker | None) -> Ranker | None:
        if ranker is None or self.calibration is None:
            return ranker
        return replace(ranker, scaling=replace(ranker.scaling, calibration=self.calibration))

    def _informed(self, ranker: Ranker | None) -> Ranker | None:
        """Returns a ranker whose facts are these tables, as far as it was trained with such."""
        if ranker is None:
            return None
        facts = ranker.facts
        if self.popular is not None and facts.log_popularity is not None:
            facts = facts.with_tables({PRIOR: self.popular})
        if self.collaborative is not None and facts.neighbour_rows is not None:
            facts = facts.with_tables({CollaborativeSource.name: self.collaborative})
        return replace(ranker, facts=facts)


def _corrected(ranker: Ranker | None, shown: ShownItems | None) -> MatchCalibration | None:
    """Returns the calibration corrected by outcomes; None where there are too few."""
    if ranker is None or shown is None or len(shown.chosen) < LEAST_SHOWN:
        return None
    if min(shown.chosen.sum(), (~shown.chosen).sum()) < LEAST_CHOSEN:
        return None
    return ranker.scaling.calibration.corrected(shown.logits, shown.chosen)
