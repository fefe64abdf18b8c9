"""A gateway of one's own on loopback for as long as a command runs: `demo`, `evaluate --release`."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.settings import Settings


def loopback_settings(release: Path, state: Path) -> "Settings":
    """Returns settings of a gateway with an embedded Triton on free ports of this machine; no environment counts.

    Args:
        release: a release, or a folder of releases, of which the current one is served.
        state: folder for logs and the model repository.

    Raises:
        NoRelease: there is neither.
        ReleaseRejected: its manifest cannot be used.
    """
    from domain.release_folder import MANIFEST, find_release
    from server.settings import load_configuration

    folder = find_release(release, str(release) if (release / MANIFEST).exists() else None)
    flags = {
        "listen": "127.0.0.1:0",
        "metrics_listen": "127.0.0.1:0",
        "release": str(folder.path),
        "model_repository": str(state / "model_repository"),
        "state": str(state),
    }
    return load_configuration(None, {}, flags).settings
