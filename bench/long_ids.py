"""A file with a million ids of 64 characters: time and memory of `shortlist check`, and of a training that counts.

python -m bench.long_ids [--users 1000000] [--out DIR]

Every user has an id of its own and chooses two of 2,000 items, whose ids have 64 characters too.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from bench.measured import run_measured

_ITEMS = 2_000
_AT_ONCE = 100_000


def main() -> int:
    """Writes the file, runs both commands and prints what they took; returns 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, default=Path("var/long-ids"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "interactions.csv"
    write(path, args.users)
    sys.stdout.write(f"{path}: {path.stat().st_size / 1e6:.0f} MB\n")
    train = ["train", "--only", "collaborative", "--out", str(args.out / "model")]
    failed = 0
    for words in (["check"], train):
        measured = run_measured([sys.executable, "-m", "cli.main", *words, "--interactions", str(path)])
        sys.stdout.write(f"shortlist {words[0]}: status {measured.status}, {measured}\n")
        sys.stdout.flush()
        failed |= int(measured.status != 0)
    return failed


def write(path: Path, users: int, seed: int = 5) -> None:
    """Writes two choices of each user."""
    rng = np.random.default_rng(seed)
    with path.open("w", encoding="ascii") as stream:
        stream.write("user_id,item_id\n")
        for start in range(0, users, _AT_ONCE):
            rows = rng.integers(0, _ITEMS, (min(_AT_ONCE, users - start), 2)).tolist()
            for user, pair in enumerate(rows, start):
                name = f"{user:x}".rjust(64, "u")
                stream.writelines(f"{name},{f'{item}'.rjust(64, 'i')}\n" for item in pair)


if __name__ == "__main__":
    raise SystemExit(main())
