"""`shortlist release build|list|show|sign|verify|promote|rollback|try|trials|end`: releases."""

import argparse
from pathlib import Path

from cli.release.build import add_build_arguments, run_build
from cli.release.listing import list_all, show
from cli.release.trials import add_trial_actions, begin_trial, end_trial, list_trials
from cli.terminal.output import print_ndjson
from cli.terminal.parser import nearest

HELP = "build, list and show releases"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist release` takes."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    build_parser = actions.add_parser(
        "build", help="items -> vectors -> graph -> a release", description=run_build.__doc__
    )
    add_build_arguments(build_parser)
    listing = actions.add_parser("list", help="all releases, oldest first", description=list_all.__doc__)
    show_parser = actions.add_parser("show", help="what a release is made of", description=show.__doc__)
    show_parser.add_argument("release", nargs="?", help="folder or id (default: the current one)")
    show_parser.add_argument("--json", action="store_true", help="print the manifest")
    verify = actions.add_parser("verify", help="compare a release with its digests", description=_verify.__doc__)
    verify.add_argument("release", nargs="?", help="folder or id (default: the current one)")
    verify.add_argument("--keys", type=Path, metavar="FILE", help="public keys; one must have signed the release")
    sign = actions.add_parser("sign", help="sign a release", description=_sign.__doc__)
    sign.add_argument("release", nargs="?", help="folder or id (default: the current one)")
    sign.add_argument("--key", type=Path, required=True, metavar="FILE", help="private Ed25519 key in PEM")
    promote = actions.add_parser("promote", help="make a release the current one", description=_promote.__doc__)
    promote.add_argument("release", help="its id")
    rollback = actions.add_parser(
        "rollback", help="make the release before the current one current", description=_rollback.__doc__
    )
    delete = actions.add_parser("delete", help="delete a release", description=_delete.__doc__)
    delete.add_argument("release", nargs="+", metavar="RELEASE", help="its id")
    prune = actions.add_parser("prune", help="delete old releases", description=_prune.__doc__)
    prune.add_argument("--keep", type=int, default=3, metavar="N", help="newest releases to keep (%(default)s)")
    prune.add_argument("--dry-run", action="store_true", help="say what would be deleted")
    for action in (verify, delete, prune):
        action.add_argument("--json", action="store_true", help="a line of JSON for each release")
    listing.add_argument("--json", action="store_true", help="a line of JSON for each release")
    diff = actions.add_parser("diff", help="what two releases differ in", description=_diff.__doc__)
    diff.add_argument("before", metavar="A", help="folder or id")
    diff.add_argument("after", metavar="B", help="folder or id")
    diff.add_argument("--json", action="store_true", help="a line of JSON for each difference")
    begin, trials, end = add_trial_actions(actions)
    for action in (promote, rollback, begin, trials, end):
        action.add_argument(
            "--state", type=Path, default=Path("var"), metavar="DIR", help="of the gateway, if one runs (%(default)s)"
        )
    for action, run_action in (
        (diff, _diff),
        (build_parser, run_build),
        (delete, _delete),
        (prune, _prune),
        (listing, list_all),
        (show_parser, show),
        (verify, _verify),
        (sign, _sign),
        (promote, _promote),
        (rollback, _rollback),
        (begin, begin_trial),
        (trials, list_trials),
        (end, end_trial),
    ):
        # What a build writes the others read: either name is taken, the fitting one stands first.
        names = ("--out", "--releases") if action is build_parser else ("--releases", "--out")
        folder, text = Path("releases"), "folder of releases (%(default)s)"
        action.add_argument(*names, dest="out", type=Path, default=folder, metavar="DIR", help=text)
        action.set_defaults(action=run_action)


def run(args: argparse.Namespace) -> int:
    """Runs the action and returns the exit status."""
    status: int = args.action(args)
    return status


def _verify(args: argparse.Namespace) -> int:
    """Compares every file of a release with its digest, the manifest too, and its signature with public keys."""
    from domain.release_folder import find_release, unlisted_files, verify, verify_training

    release = find_release(args.out, args.release)
    verify(release)
    verify_training(release)
    unlisted = unlisted_files(release)
    if unlisted and not args.json:
        print(f"not of the release, and read by nothing: {', '.join(unlisted)}")
    signed = ""
    if args.keys is not None:
        from server.release.signature import read_public_keys, verify_signature

        verify_signature(release, read_public_keys(args.keys))
        signed = ", signed by a trusted key"
    if args.json:
        facts = {"id": release.manifest.release_id, "file_count": len(release.manifest.files)}
        print_ndjson([{**facts, "signed": bool(signed), "unlisted": [str(name) for name in unlisted]}])
        return 0
    print(f"{release.manifest.release_id}: {len(release.manifest.files)} files, all as built{signed}")
    return 0


def _sign(args: argparse.Namespace) -> int:
    """Signs the manifest of a release, whose digests cover its files; compares them all first."""
    from domain.release_folder import find_release, verify, verify_training
    from server.release.signature import sign_release

    release = find_release(args.out, args.release)
    verify(release)
    verify_training(release)
    print(f"{release.manifest.release_id}: signed, {sign_release(release, args.key).name}")
    return 0


def _delete(args: argparse.Namespace) -> int:
    """Deletes releases; the current one is refused."""
    from domain.errors import NoRelease
    from domain.release_folder import list_releases, refused_releases
    from domain.release_removal import delete_release

    known = [release.manifest.release_id for release in list_releases(args.out)] + list(refused_releases(args.out))
    for release_id in args.release:
        if release_id not in known:
            raise NoRelease(
                f'no release "{release_id}" in {args.out}{nearest(release_id, known)}; `shortlist release list` shows '
                "what is there"
            )
    for release_id in dict.fromkeys(args.release):
        _print_deleted(release_id, delete_release(args.out, release_id), args)
    return 0


def _print_deleted(release_id: str, size_bytes: int, args: argparse.Namespace) -> None:
    if args.json:
        print_ndjson([{"id": release_id, "deleted": True, "size_bytes": size_bytes}])
    else:
        print(f"{release_id}: deleted, {size_bytes / 1e6:,.1f} MB")


def _prune(args: argparse.Namespace) -> int:
    """Deletes all releases but the current one and the newest ones."""
    from domain.errors import ConfigurationError
    from domain.release_removal import delete_release, superseded

    if args.keep < 0:
        raise ConfigurationError(f"--keep must be 0 or more, found {args.keep}")
    old = superseded(args.out, args.keep)
    for release in old:
        release_id = release.manifest.release_id
        if not args.dry_run:
            _print_deleted(release_id, delete_release(args.out, release_id), args)
        elif args.json:
            size_bytes = sum(entry.size_bytes for entry in release.manifest.files.values())
            print_ndjson([{"id": release_id, "deleted": False, "size_bytes": size_bytes}])
        else:
            print(f"{release_id}: would be deleted")
    if not old and not args.json:
        print(f"nothing to delete: {args.out} has the current release and at most {args.keep} newest ones")
    return 0


def _promote(args: argparse.Namespace) -> int:
    """Makes a release the current one. A running gateway of this --state and folder switches to it, under load too."""
    from cli.release.switch import switched_live

    done = switched_live(args, args.release)
    if done is not None:
        print(done)
        return 0
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
    """Makes the release before the current one current; a running gateway switches back to what it served before."""
    from cli.release.switch import switched_live

    done = switched_live(args, None)
    if done is not None:
        print(done)
        return 0
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


def _diff(args: argparse.Namespace) -> int:
    """Shows what two releases differ in: items added, removed and changed, and entries of their manifests."""
    from cli.release.switch import differences
    from domain.release_folder import find_release

    lines = differences(find_release(args.out, args.before), find_release(args.out, args.after))
    if args.json:
        pairs = (line.partition(": ") for line in lines)
        print_ndjson({"what": name, "difference": text} for name, _, text in pairs)
        return 0
    for line in lines:
        print(line)
    return 0
