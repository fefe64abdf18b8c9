"""Odd data trains, or is refused with a reason: a giant user, one minute for all, untouched items, long ids."""

import json
import subprocess
import sys

import numpy as np

from cli.main import main
from tests.support.small_encoder import write_encoder

STEPS = "collaborative,blend,thresholds,ranker"
QUICK = ("--set", "ranker.ranker.epochs=1", "--set", "ranker.ranker.members=1")


def rows_of(users, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (f"u{user}", f"i{item}", 1_700_000_000 + 60 * place)
        for user in range(users)
        for place, item in enumerate(rng.choice(np.arange(user % 2, 30, 2), 6, replace=False))
    ]


def write(path, rows):
    lines = ["user_id,item_id,timestamp", *(f"{user},{item},{moment}" for user, item, moment in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def train(tmp_path, rows, *more, steps=STEPS):
    path = write(tmp_path / "i.csv", rows)
    words = ["train", "--interactions", str(path), "--out", str(tmp_path / "m"), "--only", steps, *QUICK]
    return main([*words, *more])


def odd(rows):
    """Adds a user of 400 items, puts all into one minute, and gives everything ids of 64 characters."""
    rows = [*rows, *(("giant", f"i{item}", 0) for item in range(400))]
    return [(user.rjust(64, "x"), item.rjust(64, "y"), 1_700_000_000) for user, item, _ in rows]


def test_a_giant_user_one_minute_for_all_and_long_ids_are_trained_on(tmp_path):
    assert train(tmp_path, odd(rows_of(40))) == 0
    assert (tmp_path / "m/blend.json").is_file()
    assert "y" * 60 in (tmp_path / "m/collaborative/items.json").read_text()


def test_items_that_nobody_touched_stay_in_the_catalogue(tmp_path):
    items = tmp_path / "items.jsonl"
    items.write_text("\n".join(f'{{"id": "i{n}", "title": "word{n % 7}"}}' for n in range(500)))
    encoder = ("--encoder", str(write_encoder(tmp_path / "encoder")), "--cache", str(tmp_path / "cache"))
    assert train(tmp_path, rows_of(40), "--items", str(items), *encoder, steps="collaborative,blend") == 0
    kept = json.loads((tmp_path / "m/collaborative/items.json").read_text())
    assert len(kept) == 500


def test_two_gigabytes_are_enough_here_and_ten_megabytes_are_refused(tmp_path, capsys):
    assert train(tmp_path, rows_of(40), "--memory", "10M") == 1
    told = capsys.readouterr().err
    assert "--memory 10 MB is too little" in told
    assert train(tmp_path, rows_of(40), "--memory", "2G", steps="collaborative") == 0


def test_a_preset_of_an_earlier_version_is_told_what_changed(tmp_path, capsys):
    preset = tmp_path / "old.toml"
    preset.write_text("[student_encoder]\nlayers = { time_budget_s = 60.0 }\n")
    assert train(tmp_path, rows_of(40), "--preset", str(preset)) == 1
    assert "time_budget_s is now max_seconds" in capsys.readouterr().err


_FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_file_that_cannot_be_written_is_said_and_the_run_goes_on_later(tmp_path):
    """The limit on a file's size fails writes as a full disk does."""
    path = write(tmp_path / "i.csv", rows_of(40))
    words = ["train", "--interactions", str(path), "--out", str(tmp_path / "m"), "--only", "collaborative"]
    code = _FULL.format(limit=6_000)
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "make room" in done.stderr
    assert "Traceback" not in done.stderr
    assert main(words) == 0
