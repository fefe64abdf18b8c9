"""`shortlist health`: whether a gateway serves, as an exit status; the image's health check."""

import argparse
import sys

from cli.flags.call import add_tls_flags, check_address, tls_of, unanswered
from cli.terminal.output import print_json

HELP = "ask a gateway whether it serves; the exit status is 0 only then"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist health` takes."""
    parser.add_argument("--address", default="127.0.0.1:8470", metavar="HOST:PORT", help="the gateway (%(default)s)")
    parser.add_argument("--service", default="", metavar="NAME", help="one service (default: the whole gateway)")
    parser.add_argument("--deadline", type=float, default=2.0, metavar="SECONDS", help="(%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the status as JSON")
    add_tls_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the health status and returns 0 where it is SERVING, otherwise 1."""
    from shortlist import Client, HealthStatus, ShortlistCallError

    check_address(args.address)
    try:
        with Client(args.address, tls=tls_of(args), deadline_s=args.deadline, retry=None) as client:
            status = client.health(args.service)
    except ShortlistCallError as error:
        message = unanswered(error, args.address) or f"no health from {args.address}: {error}"
        sys.stderr.write(f"shortlist: {message}\n")
        if args.json:
            print_json({"error": {"message": message, "reason": str(error.reason), "code": error.code}})
        return 1
    if args.json:
        print_json({"address": args.address, "service": args.service, "status": status.name})
    else:
        print(status.name)
    return 0 if status is HealthStatus.SERVING else 1
