"""File names and format of a model folder, which `shortlist train` writes and `shortlist release build` packs."""

from collections.abc import Mapping

# Raise it when a file changes its meaning: folders of another number, or of none, are refused.
FORMAT = 3

RUN = "run.json"
DATA = "data.json"
QUALITY = "quality.json"
THRESHOLDS = "thresholds.json"
ASPECTS = "aspects.json"
BLEND = "blend.json"
ENCODER = "encoder"
COLLABORATIVE = "collaborative"
ITEMS = "items.json"
COLLABORATIVE_ITEMS = f"{COLLABORATIVE}/{ITEMS}"
USER_TOWER = "user_tower"
RANKER = "ranker"
TEXT_RANKER = "text_ranker"
STUDENT = "student"
# Prefix of the folder in which an unfinished step works.
UNFINISHED = ".unfinished-"


def format_problem(run: Mapping[str, object]) -> str:
    """Returns why this program can't read a folder with this run.json; empty where it can."""
    version = run.get("format")
    if version == FORMAT:
        return ""
    age = "a newer" if isinstance(version, int) and version > FORMAT else "an earlier"
    return (
        f"was made by {age} version of this program (format {version or 1}, this one reads {FORMAT}); train again into "
        "another folder"
    )
