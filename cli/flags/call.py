"""Flags by which commands reach a gateway, and the call itself."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from domain.addresses import address_problem
from domain.errors import ShortlistError

if TYPE_CHECKING:
    from shortlist import Client, Event, ShortlistCallError, Tls

_Reply = TypeVar("_Reply")


class WrongArgument(ShortlistError):
    """Refusal of a flag's value."""


class CallFailed(ShortlistError):
    """Failure of a call to a gateway."""


def add_history_flags(parser: "argparse._ActionsContainer") -> None:
    """Declares the history of a request, and how much it counts."""
    parser.add_argument("--event", action="append", default=[], metavar="KIND:ID", help="something done (buy:item-7)")
    parser.add_argument("--item", action="append", default=[], metavar="ID", help="an item that is liked")
    parser.add_argument("--personalization", type=float, metavar="SHARE", help="how much the history counts, 0 to 1")


def add_gateway_flags(parser: "argparse._ActionsContainer", deadline_s: float) -> None:
    """Declares where the gateway is, and how long a call may take."""
    parser.add_argument("--address", default="127.0.0.1:8470", metavar="HOST:PORT", help="the gateway (%(default)s)")
    parser.add_argument("--deadline", type=float, default=deadline_s, metavar="SECONDS", help="(%(default)s)")
    add_tls_flags(parser)


def events_of(args: argparse.Namespace) -> "list[Event]":
    """Reads the events.

    Raises:
        WrongArgument: one has no id, or an unknown kind.
    """
    return [_event(word) for word in args.event]


def call_gateway(args: argparse.Namespace, ask: "Callable[[Client], _Reply]") -> _Reply:
    """Returns what a gateway answers.

    Args:
        args: with the gateway's flags.
        ask: makes the call.

    Raises:
        CallFailed: the call failed.
        WrongArgument: a value that no message can hold.
    """
    from shortlist import Client, ShortlistCallError

    check_address(args.address)
    try:
        with Client(args.address, tls=tls_of(args), deadline_s=args.deadline, token=token_of(args)) as client:
            return ask(client)
    except ShortlistCallError as error:
        raise CallFailed(unanswered(error, args.address) or str(error)) from error
    except UnicodeEncodeError as error:
        # The command line's own bytes, which Python carries as lone surrogates.
        raise WrongArgument(f"{error.object!a} is not valid UTF-8") from error
    except ValueError as error:
        raise WrongArgument(str(error)) from error


def unanswered(error: "ShortlistCallError", address: str) -> str:
    """Returns what to do where nobody answers at an address; empty for a gateway that does: it says why itself."""
    if error.code != "UNAVAILABLE" or error.reason.name != "UNSPECIFIED":
        return ""
    return f"nobody answers; is a gateway running at {address}? `shortlist up` starts one ({error})"


def check_address(address: str) -> None:
    """Refuses an address of another form; names of gRPC's resolvers, such as dns:///host:port, are taken.

    Raises:
        WrongArgument: it is not HOST:PORT.
    """
    if address.startswith(("dns:", "ipv4:", "ipv6:", "unix-abstract:")):
        return
    problem = address_problem(address, sockets=True)
    if problem:
        raise WrongArgument(f"--address {address}: {problem}")


def _event(word: str) -> "Event":
    from shortlist import Event, EventKind

    kind, _, item_id = word.partition(":")
    if not item_id or kind.upper() not in EventKind.__members__ or kind.upper() == "UNSPECIFIED":
        kinds = ", ".join(kind.name.lower() for kind in EventKind if kind.name != "UNSPECIFIED")
        raise WrongArgument(f"--event {word}: expected KIND:ID with a kind of {kinds}")
    return Event(item_id, EventKind[kind.upper()])


def add_tls_flags(parser: "argparse._ActionsContainer") -> None:
    """Declares what encrypts a call."""
    parser.add_argument("--tls-ca", metavar="FILE", help="encrypt; PEM file of the authority that signed the gateway")
    parser.add_argument("--tls-certificate", metavar="FILE", help="PEM file to show a gateway that asks for one")
    parser.add_argument("--tls-key", metavar="FILE", help="PEM file with its private key")
    parser.add_argument("--token-file", metavar="FILE", help="file with an API key or token to send along")
    parser.add_argument("--tls-name", metavar="NAME", help="name in the gateway's certificate, if not the address's")


def token_of(args: argparse.Namespace) -> str | None:
    """Reads the file of a key or token.

    Raises:
        WrongArgument: it cannot be read, or is empty.
    """
    if args.token_file is None:
        return None
    try:
        token = Path(args.token_file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongArgument(
            f"--token-file {args.token_file}: {getattr(error, 'strerror', None) or 'not a token'}"
        ) from error
    if not token:
        raise WrongArgument(f"--token-file {args.token_file} is empty")
    return token


def tls_of(args: argparse.Namespace) -> "Tls | None":
    """Reads the TLS files.

    Raises:
        WrongArgument: one cannot be read, or certificate and key are not both given.
    """
    from shortlist import Tls

    if (args.tls_certificate is None) != (args.tls_key is None):
        raise WrongArgument("--tls-certificate and --tls-key go together: give both or neither")
    if args.tls_ca is None and args.tls_key is None:
        return None
    try:
        return Tls.from_files(
            args.tls_ca,
            private_key=args.tls_key,
            certificate_chain=args.tls_certificate,
            server_name=args.tls_name,
        )
    except OSError as error:
        flags = {"--tls-ca": args.tls_ca, "--tls-certificate": args.tls_certificate, "--tls-key": args.tls_key}
        flag = next(flag for flag, file in flags.items() if file == error.filename)
        raise WrongArgument(f"{flag} {error.filename}: {error.strerror}") from error
