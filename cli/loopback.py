"""A gateway of one's own on loopback for as long as a command runs: `demo`, `evaluate --release`."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from domain.release_folder import ReleaseFolder
    from server.settings import Settings


def loopback_release(path: Path) -> "ReleaseFolder":
    """Opens a release, or the current one of a folder of releases.

    Raises:
        NoRelease: there is neither.
        ReleaseRejected: its manifest cannot be used.
    """
    from domain.release_folder import MANIFEST, find_release

    return find_release(path, str(path) if (path / MANIFEST).exists() else None)


def loopback_settings(release: Path, state: Path) -> "Settings":
    """Returns settings of a gateway with an embedded Triton on free ports of this machine; no environment counts.

    Args:
        release: as of `loopback_release`.
        state: folder for logs and the model repository.

    Raises:
        NoRelease, ReleaseRejected: as `loopback_release`.
    """
    from server.settings import load_configuration

    flags = {
        "listen": "127.0.0.1:0",
        "metrics_listen": "127.0.0.1:0",
        "release": str(loopback_release(release).path),
        "model_repository": str(state / "model_repository"),
        "state": str(state),
    }
    return load_configuration(None, {}, flags).settings
