"""Terms of a text that say little beside its others: particles and generic nouns of Chinese requests.

"A film about the sea" is one run of characters in Chinese, and in a catalogue of which few titles are Chinese "film" is
rarer than "sea". English words are not among them: judged queries were answered equally well with and without.
"""

from collections.abc import Sequence, Set
from functools import cache

from core.query.folding import unspaced
from core.query.words import query_words
from core.text.analysis import analyze
from core.text.function_words import FUNCTION_WORDS


def idle_terms(words: Sequence[str], terms: Sequence[str]) -> Set[str]:
    """Returns the terms that come from idle words alone; none where a text has no other terms.

    Args:
        words: of the text.
        terms: that are searched for.
    """
    idle = idle_words().intersection(words)
    if not idle:
        return frozenset()
    kept = {term for word in words if word not in idle for term in analyze(word).terms}
    found = {term for word in idle for term in analyze(word).terms} - kept
    return frozenset() if found.issuperset(terms) else found


@cache
def idle_words() -> frozenset[str]:
    """Returns the words that say little beside others."""
    generics = (phrase.replace(" ", "") for phrase in query_words().sets["generics"])
    return frozenset(word for word in (*generics, *FUNCTION_WORDS) if unspaced(word))
