"""Page tokens: the release, the place in its list, and the request that the list answers."""

import base64
import binascii
import hashlib
import struct

from domain.errors import FieldViolation, InvalidRequest
from domain.recommendation import Page
from shortlist.v1 import recommender_pb2 as pb

# The digest of the request, the offset, and the seed, -1 for none.
_HEAD = struct.Struct("<8sIq")
_DIGEST_BYTES = 8


def write_page_token(request: pb.RecommendRequest, page: Page) -> str:
    """Returns the token that continues a request's list."""
    raw = _HEAD.pack(_digest(request), page.offset, -1 if page.seed is None else page.seed) + page.release_id.encode()
    return base64.urlsafe_b64encode(raw).decode()


def read_page_token(request: pb.RecommendRequest) -> Page | None:
    """Returns the list that a request continues; None where it begins one.

    Raises:
        InvalidRequest: the token is not one of these, or belongs to another request.
    """
    if not request.page_token:
        return None
    try:
        raw = base64.urlsafe_b64decode(request.page_token.encode())
        digest, offset, seed = _HEAD.unpack(raw[: _HEAD.size])
        release_id = raw[_HEAD.size :].decode()
    except (binascii.Error, struct.error, UnicodeError, ValueError) as error:
        raise InvalidRequest(
            FieldViolation("page_token", "not a token of this service; send a reply's next_page_token as it is")
        ) from error
    if digest != _digest(request):
        raise InvalidRequest(
            FieldViolation(
                "page_token",
                "belongs to another request; only k, explain, language, item_mask and item_attributes may change",
            )
        )
    return Page(release_id, offset, None if seed < 0 else seed)


def page_release(token: str) -> str | None:
    """Returns the release whose list a token continues; None for none, or where it is not a token."""
    try:
        return base64.urlsafe_b64decode(token.encode())[_HEAD.size :].decode() or None
    except (binascii.Error, UnicodeError, ValueError):
        return None


def _digest(request: pb.RecommendRequest) -> bytes:
    """Returns a digest of everything that decides the list."""
    plain = pb.RecommendRequest()
    plain.CopyFrom(request)
    for field in ("page_token", "k", "explain", "item_mask", "item_attributes", "language"):
        plain.ClearField(field)
    return hashlib.sha256(plain.SerializeToString(deterministic=True)).digest()[:_DIGEST_BYTES]
