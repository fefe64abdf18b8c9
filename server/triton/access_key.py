"""The key that a Triton with restricted protocols asks for.

tritonserver takes it as `--grpc-restricted-protocol=PROTOCOLS:NAME=VALUE` and then answers those protocols only to
calls that carry the header `triton-grpc-protocol-NAME: VALUE`. The file holds `NAME=VALUE`, so that both sides can read
the same one. Only a file: flags and environments are seen by others.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from domain.errors import ConfigurationError

_HEADER_PREFIX = "triton-grpc-protocol-"
# What a gRPC header may hold, less what would end the flag's value early.
_CONTENT = re.compile(r"(?P<name>[a-z0-9_.-]+)=(?P<value>[!-~]+)")


@dataclass(frozen=True)
class AccessKey:
    """A header that Triton compares.

    Attributes:
        name: as in tritonserver's flag, lower case.
        value: the secret.
    """

    name: str
    value: str = field(repr=False)

    @property
    def header(self) -> tuple[str, str]:
        """Name and value of the header to send."""
        return f"{_HEADER_PREFIX}{self.name}", self.value


def read_access_key(path: Path) -> AccessKey:
    """Reads the file of a key.

    Raises:
        ConfigurationError: it cannot be read, or does not hold one line NAME=VALUE. The message never has the content.
    """
    try:
        content = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise ConfigurationError(f"triton_key_file {path} cannot be read: {reason}") from error
    match = _CONTENT.fullmatch(content)
    if match is None:
        raise ConfigurationError(
            f"triton_key_file {path} does not hold one line NAME=VALUE, NAME of a-z, 0-9, '-', '_' and '.', VALUE "
            "without spaces: write what stands behind the colon of tritonserver's --grpc-restricted-protocol"
        )
    return AccessKey(match["name"], match["value"])
