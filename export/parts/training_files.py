"""Networks in a release as torch reads them, for a later training to start from or to compare with."""

import json
import shutil
from pathlib import Path

from domain import release_folder as layout
from domain.errors import StorageError
from domain.model_folder import ENCODER, FORMAT, ITEMS, RANKER, RUN, TEXT_RANKER, USER_TOWER
from export.parts.model_folder import ModelFolder
from export.parts.ranker import SCALER
from networks.storage import SETTINGS_FILE, WEIGHTS_FILE


def pack_training(model: ModelFolder, release: Path) -> None:
    """Copies encoder, user tower and rankers, where there are any, and records what they were trained on.

    Raises:
        StorageError: a file cannot be copied.
    """
    folder = release / layout.TRAINING
    try:
        if model.has(ENCODER):
            shutil.copytree(model.path / ENCODER, folder / ENCODER)
        if model.has(USER_TOWER):
            (folder / USER_TOWER).mkdir(parents=True)
            for name in (WEIGHTS_FILE, SETTINGS_FILE):
                shutil.copyfile(model.path / USER_TOWER / name, folder / USER_TOWER / name)
            _write(folder / USER_TOWER / ITEMS, list(model.item_ids))
        for ranker in (RANKER, TEXT_RANKER):
            if model.has(ranker):
                (folder / ranker).mkdir(parents=True)
                for name in (WEIGHTS_FILE, SETTINGS_FILE, SCALER):
                    shutil.copyfile(model.path / ranker / name, folder / ranker / name)
        folder.mkdir(exist_ok=True)
        # No more of run.json: a release tells no paths.
        _write(folder / RUN, {"format": FORMAT, "split": model.run.get("split")})
    except (OSError, shutil.Error) as error:
        raise StorageError(
            f"{folder} cannot be filled from {model.path}: {error}; make room, or train the missing part again"
        ) from error


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
