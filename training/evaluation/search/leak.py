"""Warning where a release's training may have seen the choices that an evaluation looks for."""

import json
from pathlib import Path

from domain.model_folder import RUN
from domain.release_folder import TRAINING
from training.run.folder import digest


def training_note(release: Path, interactions: Path) -> str:
    """Returns a sentence where a release was trained on last choices, or on a division that nobody can tell.

    Args:
        release: folder of one release.
        interactions: file whose last choices are to be found again.

    Returns:
        The sentence; empty where the release was not trained, or by the protocol next-item on this file.
    """
    path = release / TRAINING / RUN
    if not path.is_file():
        return ""
    split = json.loads(path.read_text(encoding="utf-8")).get("split") or {}
    if (split.get("protocol"), split.get("interactions_sha256")) == ("next-item", digest(interactions)):
        return ""
    protocol = split.get("protocol") or "all interactions"
    return (
        f"The release's training (by {protocol}) may have seen the choices that are to be found, and then the rows "
        "with a history are too good: train it on this file with --protocol next-item."
    )
