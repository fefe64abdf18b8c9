"""A small catalogue, a small encoder and a small trained model, built into a release in this process."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from datafiles.items import check_items
from domain.progress import SilentProgress
from domain.release_folder import ReleaseFolder
from export.encoder.source import resolve_encoder
from export.parts.model_folder import open_model_folder
from export.release.build import ReleaseRequest, build_release
from tests.support.small_encoder import write_encoder
from tests.support.small_model import write_model

COUNT = 60
WIDTH = 32


def item_ids() -> list[str]:
    return [f"item-{number:02}" for number in range(COUNT)]


@dataclass(frozen=True)
class Workshop:
    """Where releases of one catalogue are made."""

    folder: Path

    @property
    def releases(self) -> Path:
        return self.folder / "releases"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def request(self, model: Path | None, **changes: object) -> ReleaseRequest:
        request = ReleaseRequest(
            catalogue=check_items(self.folder / "items.jsonl"),
            releases=self.releases,
            encoder=resolve_encoder(str(self.folder / "encoder")),
            cache=self.folder / "cache",
            max_batch_size=8,
            model=None if model is None else open_model_folder(model),
        )
        return replace(request, **changes)

    def build(self, model: Path | None, **changes: object) -> ReleaseFolder:
        return build_release(self.request(model, **changes), SilentProgress())


def make_workshop(
    folder: Path, exports: Path, parts: Sequence[str] = ("collaborative", "user_tower", "ranker", "student")
) -> Workshop:
    """Makes one; `exports` is the cache that it shares with others."""
    write_encoder(folder / "encoder", positions=32)
    (folder / "cache").symlink_to(exports)
    lines = [
        {
            "id": item_id,
            "title": f"word{number} word{7 * number % 90}",
            "category": f"word{number % 4}",
            "price": number,
        }
        for number, item_id in enumerate(item_ids())
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_model(folder / "model", item_ids(), dimension=WIDTH, parts=parts, encoder=folder / "encoder")
    return Workshop(folder)
