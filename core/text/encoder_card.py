"""Languages in the model card of an encoder's folder: the front matter of README.md, as on the Hugging Face hub."""

from collections.abc import Mapping
from pathlib import Path

from domain.language_tags import primary_tags

_CARD = "README.md"


def read_languages(folder: Path) -> tuple[str, ...]:
    """Returns the primary tags that the card names; empty where it is missing, damaged or says nothing usable.

    A card is documentation: nothing but the check of languages depends on it.
    """
    named = _front_matter(folder).get("language")
    tags = [named] if isinstance(named, str) else named
    # YAML 1.1 reads a bare `no`, Norwegian, as false.
    texts = ["no" if tag is False else tag for tag in tags] if isinstance(tags, list) else []
    return primary_tags(texts) if all(isinstance(tag, str) for tag in texts) else ()


def write_languages(folder: Path, tags: tuple[str, ...]) -> None:
    """Adds the tags to the folder's card, which is made if missing; does nothing without any."""
    if not tags:
        return
    from huggingface_hub import metadata_save

    metadata_save(folder / _CARD, {**_front_matter(folder), "language": list(tags)})


def _front_matter(folder: Path) -> Mapping[str, object]:
    from huggingface_hub import metadata_load
    from yaml import YAMLError

    try:
        return metadata_load(folder / _CARD) or {}
    except (OSError, ValueError, YAMLError):
        return {}
