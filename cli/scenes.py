"""`shortlist scenes`: checks and lists a gateway's scenes."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cli.terminal.output import is_piped, print_ndjson, print_rows
from cli.terminal.printable import printable
from domain.errors import NoRelease

if TYPE_CHECKING:
    from domain.scene import Scene, Scenes
    from server.scenes import CatalogueFacts

_DEFAULT = "default: scenes.toml beside the releases, else the release's; with --release, that release's"
HELP = "check a file of scenes, or list what is in it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist scenes` takes."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = commands.add_parser("check", help="check a file, and whether it fits a release")
    check.add_argument("file", type=Path, nargs="?", metavar="FILE", help=_DEFAULT)
    listing = commands.add_parser("list", help="list the scenes of a file")
    listing.add_argument("file", type=Path, nargs="?", metavar="FILE", help=_DEFAULT)
    for parser_of in (check, listing):
        parser_of.add_argument("--json", action="store_true", help="a line of JSON for each scene, or for each problem")
        parser_of.add_argument("--releases", type=Path, default=Path("releases"), metavar="DIR", help="(%(default)s)")
        parser_of.add_argument(
            "--release", metavar="ID", help="a release folder or id; default: the current one, if any"
        )


def run(args: argparse.Namespace) -> int:
    """Checks or lists; returns 0, or 1 where the file does not fit the release."""
    from server.scenes import load_scenes, problems_with

    path = args.file or _default(args)
    facts = _facts(args) if args.action == "check" else None
    scenes = load_scenes(path, None if facts is None else facts.attribute_types)
    if args.action == "list":
        _list(scenes, as_json=args.json)
        return 0
    problems = [] if facts is None else problems_with(scenes, facts)
    if args.json:
        print_ndjson({"file": str(path), "problem": problem} for problem in problems)
        return 1 if problems else 0
    for problem in problems:
        print(printable(f"{path}: {problem}"))
    if problems:
        return 1
    against = "; there is no release to check it against" if facts is None else ", and fits the release"
    print(printable(f"{path}: {len(scenes.by_name)} scenes, well written{against}"))
    return 0


def _default(args: argparse.Namespace) -> Path:
    """Returns the file that a gateway would read: beside the releases, else in the release; where one is named, its."""
    from domain.release_folder import SCENES, find_release

    beside: Path = args.releases / SCENES
    if args.release is None and beside.exists():
        return beside
    try:
        own = find_release(args.releases, args.release).path / SCENES
    except NoRelease:
        if args.release is not None:
            raise
        return beside
    return own if own.exists() or args.release is not None else beside


def _list(scenes: "Scenes", *, as_json: bool) -> None:
    rows = [(scene.name, scene.name == scenes.default, _told(scene)) for scene in scenes.by_name.values()]
    if as_json:
        print_ndjson({"name": name, "default": is_default, "settings": told} for name, is_default, told in rows)
    elif is_piped():
        print_rows((name, "default" if is_default else "", told) for name, is_default, told in rows)
    else:
        for name, is_default, told in rows:
            print(printable(f"{name}{' (default)' if is_default else ''}: {told}"))


def _facts(args: argparse.Namespace) -> "CatalogueFacts | None":
    """Reads a release's ids and attributes; None where there is no release and none was asked for."""
    from domain.release_folder import find_release
    from server.catalogue.item_table import ItemTable
    from server.scenes import CatalogueFacts

    if args.release is None and not args.releases.is_dir():
        return None
    try:
        folder = find_release(args.releases, args.release)
    except NoRelease:
        if args.release is not None:
            raise
        return None
    items = ItemTable(folder.path / "items.jsonl", folder.manifest.attribute_types)
    return CatalogueFacts(folder.manifest.attribute_types, lambda item_id: items.row_of(item_id) is not None)


def _told(scene: "Scene") -> str:
    """Returns a scene in one line."""
    rules = scene.arrangement
    parts = [
        f"k {scene.k}" if scene.k else "",
        f"sources {', '.join(sorted(scene.sources))}" if scene.sources is not None else "",
        f"{len(scene.conditions)} conditions" if scene.conditions else "",
        f"{len(scene.preferences)} preferences" if scene.preferences else "",
        *(
            f"{name} {value:g}"
            for name in ("diversity", "new_share", "exploration", "novelty")
            if (value := getattr(rules, name)) is not None
        ),
        *(f"at most {cap.most} of a {cap.attribute}{f' in {cap.within}' if cap.within else ''}" for cap in rules.caps),
        f"{len(rules.pins)} pinned" if rules.pins else "",
        f"{len(rules.boosts)} boosts" if rules.boosts else "",
        f"fallback {scene.fallback.name}" if scene.fallback else "",
    ]
    return "; ".join(part for part in parts if part) or "the gateway's defaults"
