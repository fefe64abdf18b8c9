"""`shortlist key add|list|revoke`: API keys in a file, or in a Redis that gateways share."""

import argparse
from typing import TYPE_CHECKING

from cli.terminal.output import is_piped, print_ndjson, print_rows

if TYPE_CHECKING:
    from server.security.key_place import KeyPlace

HELP = "make, list and revoke API keys; running gateways take a change over within seconds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist key` takes."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    add = actions.add_parser("add", help="make a key and print it, once", description=_add.__doc__)
    add.add_argument("name", metavar="NAME", help="of who will use it")
    add.add_argument(
        "--scopes",
        default="read",
        metavar="A,B",
        help="read, write_events, write_catalogue, replicate, admin (%(default)s)",
    )
    add.add_argument("--days", type=float, metavar="N", help="how long it holds (default: until revoked)")
    add.add_argument("--calls-per-s", type=float, metavar="X", help="its own quota (default: everybody's)")
    listing = actions.add_parser("list", help="names, scopes and ends of all keys", description=_list.__doc__)
    listing.add_argument("--json", action="store_true", help="a line of JSON for each key")
    revoke = actions.add_parser("revoke", help="take a key away", description=_revoke.__doc__)
    revoke.add_argument("name", metavar="NAME", help="as it was made with")
    for action, run_action in ((add, _add), (listing, _list), (revoke, _revoke)):
        action.add_argument(
            "--keys", required=True, metavar="PLACE", help="the gateway's api_keys: a file, or redis://HOST:PORT"
        )
        action.set_defaults(action=run_action)


def run(args: argparse.Namespace) -> int:
    """Runs one action; returns the exit status."""
    status: int = args.action(args)
    return status


def _add(args: argparse.Namespace) -> int:
    """Makes a key, keeps its digest and prints the key: it is shown this once."""
    from server.admission.quota import Quota
    from server.security.api_keys import new_key
    from server.security.scopes import Scope

    quota = None if args.calls_per_s is None else Quota(args.calls_per_s, max(1.0, args.calls_per_s))
    scopes = Scope.parse(name.strip() for name in args.scopes.split(","))
    key, entry = new_key(args.name, scopes, days=args.days, quota=quota)
    _place(args).add(entry)
    print(key)
    return 0


def _list(args: argparse.Namespace) -> int:
    """Prints names, scopes and ends; the keys themselves are kept nowhere."""
    keys = _place(args).keys().values()
    if args.json:
        print_ndjson(
            {
                "name": key.identity.name,
                "scopes": sorted(scope.value for scope in key.identity.scopes),
                "expires": None if key.expires is None else key.expires.isoformat(),
            }
            for key in keys
        )
        return 0
    for key in keys:
        scopes = ",".join(sorted(scope.value for scope in key.identity.scopes))
        ends = "until revoked" if key.expires is None else f"until {key.expires:%Y-%m-%d %H:%M} UTC"
        if is_piped():
            print_rows([(key.identity.name, scopes, ends)])
        else:
            print(f"{key.identity.name:20} {scopes:40} {ends}")
    return 0


def _revoke(args: argparse.Namespace) -> int:
    """Takes a key away."""
    _place(args).revoke(args.name)
    return 0


def _place(args: argparse.Namespace) -> "KeyPlace":
    from server.security.key_place import key_place

    return key_place(args.keys)
