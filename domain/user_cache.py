"""Folder of what can be made again, one for all working folders of a user."""

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """Returns $XDG_CACHE_HOME/shortlist/NAME, by default ~/.cache/shortlist/NAME; it need not exist.

    In containers a user may have no home: then it is .cache/shortlist/NAME in the working folder.
    """
    home = os.environ.get("XDG_CACHE_HOME", "")
    if home and Path(home).is_absolute():
        return Path(home) / "shortlist" / name
    try:
        base = Path.home()
    except RuntimeError:
        base = Path()
    return base / ".cache" / "shortlist" / name
