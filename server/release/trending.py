"""A release with what was chosen of late as one more source."""

from dataclasses import replace

from core.retrieval.trending import TrendingSource, Trends
from server.release.live_release import LiveRelease


class TrendingView:
    """Adds the source to releases; keeps the last one that it made. To be asked on the event loop."""

    def __init__(self) -> None:
        self._made_of: tuple[LiveRelease, Trends] | None = None
        self._made: LiveRelease | None = None

    def over(self, release: LiveRelease, trends: Trends) -> LiveRelease:
        """Returns the release with the source of these trends over its catalogue; it stays so."""
        last = self._made_of
        if self._made is None or last is None or last[0] is not release or last[1] is not trends:
            source = TrendingSource(trends, release.catalogue.rows_of, release.sources.order)
            sources = replace(release.sources, sources=(*release.sources.sources, source))
            self._made_of, self._made = (release, trends), replace(release, sources=sources)
        return self._made
