"""Flags by which commands reach a gateway."""

import argparse
from typing import TYPE_CHECKING

from domain.errors import ShortlistError

if TYPE_CHECKING:
    from shortlist import Tls


class WrongArgument(ShortlistError):
    """Refusal of a flag's value."""


def add_tls_flags(parser: "argparse._ActionsContainer") -> None:
    """Declares what encrypts a call."""
    parser.add_argument("--tls-ca", metavar="FILE", help="encrypt; PEM file of the authority that signed the gateway")
    parser.add_argument("--tls-certificate", metavar="FILE", help="PEM file to show a gateway that asks for one")
    parser.add_argument("--tls-key", metavar="FILE", help="PEM file with its private key")
    parser.add_argument("--tls-name", metavar="NAME", help="name in the gateway's certificate, if not the address's")


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
