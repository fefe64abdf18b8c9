"""The release that would be served."""

from pathlib import Path

from cli.checks.finding import Finding, fail, ok, size, warn


def check_release(releases: Path, name: str | None) -> Finding:
    """Compares every file of a release with its digest.

    Args:
        releases: folder of releases.
        name: release folder or id; None takes the current one.
    """
    from domain.errors import NoRelease, ReleaseRejected
    from domain.release_folder import find_release, verify

    try:
        folder = find_release(releases, name)
        verify(folder)
    except NoRelease as error:
        if name is None and not releases.is_symlink() and not (releases / "current").is_symlink():
            return warn("release", f"none in {releases}", "shortlist release build --items FILE")
        return fail("release", str(error), "shortlist release list, then shortlist release promote ID")
    except ReleaseRejected as error:
        return fail("release", str(error), "shortlist release rollback serves the one before; or build it again")
    manifest = folder.manifest
    total = sum(entry.size_bytes for entry in manifest.files.values())
    files = f"{len(manifest.files)} files of {size(total)}, all as built"
    return ok("release", f"{manifest.release_id}: {manifest.item_count:,} items, {files}")
