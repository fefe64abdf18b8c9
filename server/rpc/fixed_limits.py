"""Limits of requests that are no settings: what stored data, tokens or protocols hold. The reference lists them."""

from domain.item import ID_LIMIT_BYTES

MOST_CAPS = 8
MOST_PINS = 100
MOST_BOOSTS = 32
MOST_PLACES = 1_000

MOST_ITEMS = 1_000
MOST_ITEM_BYTES = 256 * 1024
MOST_ATTRIBUTES = 256
NAME_BYTES = 256

TITLE_BYTES = 1_024
EVENT_ID_BYTES = 128
TOKEN_BYTES = 1_024
MOST_QUESTIONS = 100
HIGHEST_RATING = 5.0
HIGHEST_WEIGHT = 100.0

LANGUAGE_CHARACTERS = 35
MOST_VIOLATIONS = 16

# (field, least and most in words), as the parsers check them.
FIXED_LIMITS = (
    ("ids of items, users, sessions and candidates", f"1 to {ID_LIMIT_BYTES:,} bytes of UTF-8"),
    ("`Event.event_id`, `Event.request_id`", f"at most {EVENT_ID_BYTES:,} bytes"),
    ("`Event.attribution_token`", f"at most {TOKEN_BYTES:,} bytes"),
    ("`Event.item_title`", f"at most {TITLE_BYTES:,} bytes"),
    ("`Event.rating`", f"0 to {HIGHEST_RATING:g}"),
    ("`Event.weight`", f"above 0, at most {HIGHEST_WEIGHT:g}"),
    ("`ElicitRequest.k`", f"1 to {MOST_QUESTIONS:,}"),
    ("`RecommendRequest.language`", f"at most {LANGUAGE_CHARACTERS:,} characters"),
    ("`Arrangement.caps`", f"at most {MOST_CAPS:,}, each over 1 to {MOST_PLACES:,} places"),
    ("`Arrangement.pins`", f"at most {MOST_PINS:,}, on places 1 to {MOST_PLACES:,}"),
    ("`Arrangement.boosts`", f"at most {MOST_BOOSTS:,}"),
    ("items, removals or edits in one message of `CatalogService`, `page_size`", f"1 to {MOST_ITEMS:,}"),
    ("an item as it is sent", f"at most {MOST_ITEM_BYTES:,} bytes"),
    ("attributes of an item", f"at most {MOST_ATTRIBUTES:,}, each name 1 to {NAME_BYTES:,} bytes"),
    ("violations that one refusal names", f"at most {MOST_VIOLATIONS:,}"),
)
