"""`shortlist release list|show`: what is in a folder of releases."""

import argparse
from collections.abc import Mapping, Sequence

from cli.release.table import print_release
from cli.terminal.output import is_piped, note, print_ndjson, print_rows


def list_all(args: argparse.Namespace) -> int:
    """Lists the releases of a folder."""
    from domain.release_folder import current_release_id, list_releases, refused_releases

    current = current_release_id(args.out)
    releases = list_releases(args.out)
    refused = refused_releases(args.out)
    entries = [
        {
            "current": release.manifest.release_id == current,
            "id": release.manifest.release_id,
            "created": release.manifest.created,
            "item_count": release.manifest.item_count,
            "encoder": release.manifest.encoder.name,
            "recall_at_10": release.manifest.graph.recall_at_10,
            "size_bytes": sum(entry.size_bytes for entry in release.manifest.files.values()),
        }
        for release in releases
    ]
    if args.json:
        print_ndjson([*entries, *({"id": name, "refused": str(problem)} for name, problem in refused.items())])
        return 0
    if is_piped():
        print_rows(["*" if entry["current"] else "", *list(entry.values())[1:]] for entry in entries)
    elif entries:
        _print_releases(entries)
    if not entries:
        note(f"no releases in {args.out}; make one with `shortlist release build --items FILE`")
    for problem in refused.values():
        note(f"not usable: {problem}")
    return 0


def _print_releases(entries: Sequence[Mapping[str, object]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("")
    table.add_column("id", no_wrap=True)
    for name in ("created", "items", "encoder", "recall", "MB"):
        table.add_column(name, justify="left" if name in ("created", "encoder") else "right", overflow="fold")
    for entry in entries:
        table.add_row(
            "*" if entry["current"] else "",
            escape(str(entry["id"])),
            escape(str(entry["created"])[:16].replace("T", " ")),
            f"{entry['item_count']:,}",
            escape(str(entry["encoder"])),
            f"{entry['recall_at_10']:.4f}",
            f"{int(str(entry['size_bytes'])) / 1e6:,.0f}",
        )
    Console().print(table)


def show(args: argparse.Namespace) -> int:
    """Shows what a release is made of."""
    import sys

    from rich.console import Console

    from domain.manifest import manifest_to_json
    from domain.release_folder import find_release

    release = find_release(args.out, args.release)
    if args.json:
        sys.stdout.write(manifest_to_json(release.manifest))
    else:
        print_release(release, Console())
    return 0
