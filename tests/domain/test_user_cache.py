import os
import pwd
from pathlib import Path

import pytest

from domain.user_cache import user_cache


def unknown(_):
    raise KeyError("no such user")


@pytest.mark.parametrize(
    ("set_home", "cache", "expected"),
    [
        ("/home/ann", "", "/home/ann/.cache/shortlist/export"),
        ("/home/ann", "/fast", "/fast/shortlist/export"),
        ("/home/ann", "relative", "/home/ann/.cache/shortlist/export"),
        (None, "/fast", "/fast/shortlist/export"),
        (None, "", ".cache/shortlist/export"),
    ],
)
def test_it_is_the_users_own_or_of_the_working_folder(monkeypatch, set_home, cache, expected):
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "environ", {"XDG_CACHE_HOME": cache} | ({"HOME": set_home} if set_home else {}))
    assert user_cache("export") == Path(expected)
