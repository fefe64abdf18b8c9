"""Identity of a catalogue's changes, by which a gateway that follows another one knows whose copy it has."""

import json
import secrets
from pathlib import Path

import structlog

from domain import durable
from domain.errors import StorageError

FILE_NAME = "identity.json"


class CatalogueIdentity:
    """The id of a catalogue, kept in its folder.

    A copy has the id of what it is a copy of. A gateway that stops following gives its catalogue a new id, since from
    then on the changes are its own.

    Attributes:
        catalogue_id: empty before `open`, and in a copy that is being replaced.
        is_copy: whether the changes are those of another gateway.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self.catalogue_id = ""
        self.is_copy = False

    def open(self, *, follows: bool) -> None:
        """Reads the id, or makes one; blocking.

        Raises:
            StorageError: it cannot be written.
        """
        try:
            kept = json.loads(self._path.read_text("utf-8"))
            self.catalogue_id, self.is_copy = str(kept["catalogue_id"]), bool(kept["is_copy"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            structlog.get_logger("catalogue").warning(
                "the catalogue gets a new id", file=str(self._path), error=str(error)
            )
        if not self.catalogue_id or (self.is_copy and not follows):
            self._write(secrets.token_hex(8), is_copy=False)

    def become(self, catalogue_id: str) -> None:
        """Takes the id of the catalogue that this one is a copy of; blocking. Raises as `open`."""
        self._write(catalogue_id, is_copy=True)

    def clear(self) -> None:
        """Forgets the id; blocking. Raises as `open`."""
        self._write("", is_copy=True)

    def _write(self, catalogue_id: str, *, is_copy: bool) -> None:
        try:
            plain = {"catalogue_id": catalogue_id, "is_copy": is_copy}
            durable.write_atomic(self._path, json.dumps(plain) + "\n")
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be written: {error.strerror or error}; is the disk full?"
            ) from error
        self.catalogue_id, self.is_copy = catalogue_id, is_copy
