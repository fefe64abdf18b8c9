"""Language of a request's explanations."""

from domain.recommendation import RecommendQuery
from domain.text import language_of
from server.stages.history import History
from server.stages.release import ServingRelease
from server.stages.wording import DEFAULT

# Items of the history whose titles are read, the latest first.
_TITLES_READ = 3


def language_for(query: RecommendQuery, history: History, release: ServingRelease) -> str:
    """Returns the language that the request names, else that of its text, else that of its history's titles."""
    if query.language:
        return query.language
    if any(character.isalpha() for character in query.text):
        return language_of(query.text)
    rows = list(dict.fromkeys(reversed(history.rows)))[:_TITLES_READ]
    titles = [event.item_title for event in query.events if event.item_title][-_TITLES_READ:]
    titles += [item.title for item in release.catalogue.items_of(rows)]
    return language_of(" ".join(titles)) if titles else DEFAULT
