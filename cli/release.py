"""`shortlist release build|list|show|verify|promote|rollback`: releases on disk."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.encoder_flags import add_encoder_flags, check_with_model, encoder_choice
from cli.precision_flags import add_precision_flags, precision_of
from cli.release_table import print_release

if TYPE_CHECKING:
    from export.release.engines import Engine

HELP = "build, list and show releases"

_MOST_WORKERS = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist release` takes."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    build = actions.add_parser("build", help="items -> vectors -> graph -> a release", description=_build.__doc__)
    build.add_argument("--items", type=Path, required=True, metavar="FILE", help=".jsonl, .csv (also .gz) or .parquet")
    build.add_argument("--encoder", metavar="NAME|DIR", help="text encoder (default: all-MiniLM-L6-v2)")
    build.add_argument(
        "--text-attributes",
        metavar="A,B",
        help="attributes in the item texts (default: those of the --model's training, else the common ones that occur)",
    )
    build.add_argument("--model", type=Path, metavar="DIR", help="what `shortlist train` made: packed with its figures")
    build.add_argument(
        "--accept-worse",
        action="store_true",
        help="take a model that is worse than the current release or uncompared",
    )
    build.add_argument("--no-promote", action="store_true", help="don't make it the current release")
    build.add_argument("--workers", type=int, default=1, metavar="N", help="processes that encode items (%(default)s)")
    build.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="where they run: here, or on Ray (%(default)s)"
    )
    build.add_argument(
        "--cache", type=Path, default=Path(".cache/export"), metavar="DIR", help="exported encoders (%(default)s)"
    )
    build.add_argument("--pinyin", action="store_true", help="find Chinese titles and names by their pinyin too")
    add_encoder_flags(build)
    add_precision_flags(build, "default: the items' own texts")
    listing = actions.add_parser("list", help="all releases, oldest first", description=_list.__doc__)
    show = actions.add_parser("show", help="what a release is made of", description=_show.__doc__)
    show.add_argument("release", nargs="?", help="folder or id (default: the current one)")
    show.add_argument("--json", action="store_true", help="print the manifest")
    verify = actions.add_parser("verify", help="compare a release with its digests", description=_verify.__doc__)
    verify.add_argument("release", nargs="?", help="folder or id (default: the current one)")
    promote = actions.add_parser("promote", help="make a release the current one", description=_promote.__doc__)
    promote.add_argument("release", help="its id")
    rollback = actions.add_parser(
        "rollback", help="make the release before the current one current", description=_rollback.__doc__
    )
    for action, run_action in (
        (build, _build),
        (listing, _list),
        (show, _show),
        (verify, _verify),
        (promote, _promote),
        (rollback, _rollback),
    ):
        action.add_argument(
            "--out", type=Path, default=Path("releases"), metavar="DIR", help="folder of releases (%(default)s)"
        )
        action.set_defaults(action=run_action)


def run(args: argparse.Namespace) -> int:
    """Runs the action and returns the exit status."""
    status: int = args.action(args)
    return status


def _build(args: argparse.Namespace) -> int:
    """Checks the items, embeds them, builds and measures the graph, and writes the release folder."""
    from rich.console import Console

    from cli.progress import ConsoleProgress

    console = Console()
    progress = ConsoleProgress(console)
    # The items are checked before torch is imported, so that a bad file is refused at once.
    from datafiles.items import check_items

    check_with_model(args)
    engine = _engine(args.engine, args.workers)
    progress.step(f"checking {args.items}")
    catalogue = check_items(args.items, progress.counter(f"checking {args.items}", "items"))
    from domain.model_folder import ENCODER
    from export.parts.model_folder import open_model_folder

    model = open_model_folder(args.model) if args.model else None
    progress.step("loading the encoder")
    from export.encoder.source import resolve_encoder
    from export.release.build import ReleaseRequest, build_release

    attributes = tuple(args.text_attributes.split(",")) if args.text_attributes else None
    trained = args.model / ENCODER if model is not None and model.has(ENCODER) else None
    choice = encoder_choice(args)
    if choice.max_tokens is None and model is not None and model.text is not None:
        choice = replace(choice, max_tokens=model.text.max_tokens)
    request = ReleaseRequest(
        catalogue=catalogue,
        releases=args.out,
        encoder=resolve_encoder(args.encoder or (str(trained) if trained else None), choice),
        cache=args.cache,
        text_attributes=attributes,
        promote=not args.no_promote,
        model=model,
        accept_worse=args.accept_worse,
        engine=engine,
        precision=precision_of(args, args.calibration or args.items),
        pinyin=args.pinyin,
    )
    release = build_release(request, progress)
    print_release(release, console)
    console.print("\nserve it:  ", end="")
    console.print(f"shortlist up --releases {args.out}", style="bold", highlight=False, markup=False)
    return 0


def _engine(name: str, workers: int) -> "Engine":
    """Chooses who encodes.

    Raises:
        ConfigurationError: there is no such number of workers.
        EngineMissing: Ray is not installed.
    """
    from domain.errors import ConfigurationError

    if not 1 <= workers <= _MOST_WORKERS:
        raise ConfigurationError(f"--workers must lie between 1 and {_MOST_WORKERS}, found {workers}")
    if name == "ray":
        from export.release.ray_engine import RayEngine

        return RayEngine(workers)
    from export.release.engines import InProcess, Processes

    return InProcess() if workers == 1 else Processes(workers)


def _list(args: argparse.Namespace) -> int:
    """Lists the releases of a folder."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from domain.release_folder import current_release_id, list_releases, refused_releases

    current = current_release_id(args.out)
    table = Table("", "id", "created", "items", "encoder", "recall@10", box=None)
    releases = list_releases(args.out)
    for release in releases:
        manifest = release.manifest
        table.add_row(
            "*" if manifest.release_id == current else "",
            escape(manifest.release_id),
            escape(manifest.created),
            f"{manifest.item_count:,}",
            escape(manifest.encoder.name),
            f"{manifest.graph.recall_at_10:.4f}",
        )
    console = Console()
    if releases:
        console.print(table)
    else:
        console.print(f"no releases in {args.out}; make one with `shortlist release build --items FILE`", markup=False)
    for problem in refused_releases(args.out).values():
        console.print(f"not usable: {problem}", markup=False)
    return 0


def _show(args: argparse.Namespace) -> int:
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


def _verify(args: argparse.Namespace) -> int:
    """Compares every file of a release with its digest, the manifest too."""
    from domain.release_folder import find_release, verify, verify_training

    release = find_release(args.out, args.release)
    verify(release)
    verify_training(release)
    print(f"{release.manifest.release_id}: {len(release.manifest.files)} files, all as built")
    return 0


def _promote(args: argparse.Namespace) -> int:
    """Makes a release the current one; a gateway that starts from now on serves it."""
    from domain.errors import NoRelease
    from domain.release_folder import list_releases, promote, refused_releases

    if args.release not in {release.manifest.release_id for release in list_releases(args.out)}:
        problem = refused_releases(args.out).get(args.release)
        if problem is not None:
            raise problem
        raise NoRelease(f'no release "{args.release}" in {args.out}; `shortlist release list` shows what is there')
    promote(args.out, args.release)
    print(f"{args.release} is current")
    return 0


def _rollback(args: argparse.Namespace) -> int:
    """Makes the newest release that is older than the current one current."""
    from domain.errors import NoRelease
    from domain.release_folder import current_release_id, list_releases, promote

    current = current_release_id(args.out)
    if current is None:
        raise NoRelease(f"{args.out} has no current release; `shortlist release list` shows what is there")
    older = [folder.manifest.release_id for folder in list_releases(args.out) if folder.manifest.release_id < current]
    if not older:
        raise NoRelease(f"{args.out} has no release older than the current one, {current}")
    promote(args.out, older[-1])
    print(f"{older[-1]} is current, was {current}")
    return 0
