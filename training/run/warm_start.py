"""Warm start of a run: encoder and user tower of an earlier model folder, or of a release built from one."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from domain.errors import ModelNotUsable, TrainingRefused
from domain.model_folder import ENCODER, ITEMS, RUN, USER_TOWER
from domain.release_folder import MANIFEST, TRAINING, open_release, verify_training
from training.run.folder import digest, read_run

STARTABLE = (ENCODER, USER_TOWER)
# A file that each of them has.
_MARKS = {ENCODER: "modules.json", USER_TOWER: "settings.json"}
# Keys of the width of a token's vector by family: BERT and most, DistilBERT, T5, GPT-2.
_WIDTH_KEYS = ("hidden_size", "dim", "d_model", "n_embd")
_IDENTITY = ("protocol", "seed", "positive_rating", "interactions_sha256", "items_sha256")


@dataclass(frozen=True)
class WarmStart:
    """Trained parts that a run continues from.

    Attributes:
        path: as in --from.
        encoder: a sentence-transformers folder; None where it has none.
        tower: folder of the user tower; None where it has none.
        item_ids: of the tower's rows; empty without a tower.
        split: facts in run.json about the data that it was trained on; empty where that is unknown.
        digests: of the files that a step starts from, by the step's name.
        same_split: whether nothing that this run holds out was in its training.
    """

    path: Path
    encoder: Path | None
    tower: Path | None
    item_ids: tuple[str, ...]
    split: Mapping[str, object]
    digests: Mapping[str, str]
    same_split: bool = False

    def without(self, steps: Sequence[str]) -> bool:
        """Returns whether none of these steps (all, if none is named) has a part to continue from."""
        return not any(name in self.digests for name in STARTABLE if not steps or name in steps)

    def compared_with(self, split: Mapping[str, object]) -> "WarmStart":
        """Returns the same with `same_split` set.

        Raises:
            TrainingRefused: a test part is held out, and the warm start may have been trained on it.
        """
        trained_on = self.split.get("interactions_sha256", "unknown")
        same = trained_on is None or all(self.split.get(name, "unknown") == split.get(name) for name in _IDENTITY)
        if split["protocol"] is not None and not same:
            raise TrainingRefused(
                f"{self.path} was not trained on the same split (protocol, seed and files), so it may know the test "
                "part that --protocol holds out; leave --protocol out, or train it with --protocol, too"
            )
        return replace(self, same_split=same)

    def facts(self) -> dict[str, object]:
        """Returns its facts for run.json."""
        return {"folder": str(self.path), "digests": dict(self.digests), "same_split": self.same_split}

    def notes(self) -> list[str]:
        """Returns notes for the record of a step that started from it."""
        if self.same_split:
            return []
        return ["validation may be too high: the warm start was trained on other data or another split"]


def split_identity(split: Mapping[str, object]) -> dict[str, object]:
    """Returns the facts of run.json's "split" by which two runs have the same training and validation data."""
    return {name: split.get(name) for name in _IDENTITY}


def open_warm_start(path: Path, out: Path, steps: Sequence[str]) -> WarmStart:
    """Reads the parts that a run continues from.

    Args:
        path: a model folder, or a release.
        out: the run's own folder.
        steps: that will run; empty for all.

    Raises:
        TrainingRefused: it is neither, has no part that one of the steps can start from, or is `out` itself.
        ModelNotUsable: a file of it is missing or damaged.
        ReleaseRejected: a file of the release was changed.
    """
    if path.resolve() == out.resolve():
        raise TrainingRefused(f"{path} is both --from and --out; give a new folder as --out")
    root = _root(path)
    encoder, tower = (_part(root, name) for name in STARTABLE)
    files = {
        ENCODER: _files(encoder),
        # The tower's weights belong to the vectors of its encoder.
        USER_TOWER: (_files(tower) + _files(encoder)) if tower else [],
    }
    digests = {name: digest(*some) for name, some in files.items() if some}
    run = read_run(root) if (root / RUN).is_file() else {}
    split = run.get("split")
    item_ids = () if tower is None else _item_ids(root)
    start = WarmStart(path, encoder, tower, item_ids, split if isinstance(split, dict) else {}, digests)
    if start.without(steps):
        wanted = " or ".join(f"{name}/" for name in STARTABLE if not steps or name in steps)
        raise TrainingRefused(
            f"{path} has no part to start from: {wanted or 'a part that can start warm'} is missing; "
            f"steps that can start warm: {', '.join(STARTABLE)}"
        )
    return start


def can_start(release: Path, skipped: Collection[str]) -> bool:
    """Returns whether a release has the weights of a part whose step is not skipped."""
    return any(_part(release / TRAINING, name) is not None for name in STARTABLE if name not in skipped)


def check_encoder(start: Path, base: Path) -> None:
    """Checks that an earlier encoder came from a base encoder of the same width.

    Raises:
        ModelNotUsable: it did not, or its config.json cannot be read.
    """
    widths = [_hidden_size(folder) for folder in (start, base)]
    if widths[0] != widths[1]:
        raise ModelNotUsable(
            f"{start} is {widths[0]} wide, the base encoder {widths[1]}: give the --encoder that it was trained from, "
            "or leave --from out"
        )


def _root(path: Path) -> Path:
    if (path / MANIFEST).is_file():
        release = open_release(path)
        if not (path / TRAINING).is_dir():
            raise TrainingRefused(
                f"{path} is a release without weights (no {TRAINING}/): it was built without --model, or by an earlier "
                "version; give the model folder"
            )
        verify_training(release)
        return path / TRAINING
    if not (path / RUN).is_file():
        raise TrainingRefused(f"{path} is neither a model folder nor a release: it has no {RUN} and no {MANIFEST}")
    return path


def _part(root: Path, name: str) -> Path | None:
    return root / name if (root / name / _MARKS[name]).is_file() else None


def _hidden_size(folder: Path) -> int:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return int(next(config[key] for key in _WIDTH_KEYS if key in config))
    except (OSError, ValueError, TypeError, StopIteration) as error:
        raise ModelNotUsable(f"{path} gives no hidden_size ({error}); train the encoder again") from error


def _files(folder: Path | None) -> list[Path]:
    return [] if folder is None else sorted(path for path in folder.rglob("*") if path.is_file())


def _item_ids(root: Path) -> tuple[str, ...]:
    path = root / USER_TOWER / ITEMS
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelNotUsable(
            f"{path}, which lists the items of the user tower's rows, cannot be read ({error}); train again"
        ) from error
    if not isinstance(raw, list) or not all(isinstance(item_id, str) for item_id in raw):
        raise ModelNotUsable(f"{path} must hold a list of item ids; train again")
    return tuple(raw)
