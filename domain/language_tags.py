"""Language tags: BCP 47 primary subtags such as "en", and their English names."""

import re
from collections.abc import Iterable

# One tag for what detectors and model cards name differently.
_SAME = {"nb": "no", "nn": "no"}
_PRIMARY = re.compile(r"[a-z]{2,3}")
_NAMES = {
    "ar": "Arabic",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hu": "Hungarian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "tr": "Turkish",
    "zh": "Chinese",
}
_MOST_NAMED = 3


def primary_tag(tag: str) -> str | None:
    """Returns the primary subtag in lower case, "en" of "en-GB"; None where it is no language's tag."""
    primary = re.split("[-_]", tag.strip().lower(), maxsplit=1)[0]
    return _SAME.get(primary, primary) if _PRIMARY.fullmatch(primary) else None


def primary_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Returns the primary subtags, each once, in the order of the tags; empty where one of them is no language's tag.

    A list that names something else ("multilingual", "code") says less than it seems, so all of it counts as unknown.
    """
    found = [primary_tag(tag) for tag in tags]
    return () if None in found else tuple(dict.fromkeys(tag for tag in found if tag is not None))


def language_name(tag: str) -> str:
    """Returns the English name, or the tag itself."""
    return _NAMES.get(tag, tag)


def language_names(tags: tuple[str, ...]) -> str:
    """Returns the English names for a sentence; of a long list the first and the count of the others."""
    names = [language_name(tag) for tag in tags]
    if len(names) > _MOST_NAMED + 1:
        return f"{', '.join(names[:_MOST_NAMED])} and {len(names) - _MOST_NAMED} other languages"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
