"""The results of calls."""

from shortlist.results.call import Degradation, EntryError, FieldViolation, StageTimes
from shortlist.results.items import AttributeValue, Explanation, FieldMatch, ItemDetails, Provenance, RankedItem
from shortlist.results.recommendation import Interpretation, InterpretedCondition, InterpretedOrder, Shortlist
from shortlist.results.texts import Embedding, Embeddings, RankedText, TextRanking
from shortlist.results.users import ElicitedItem, Merged, Recorded, RecordedStream, StoredUser

__all__ = [
    "AttributeValue",
    "Degradation",
    "ElicitedItem",
    "Embedding",
    "Embeddings",
    "EntryError",
    "Explanation",
    "FieldMatch",
    "FieldViolation",
    "Interpretation",
    "InterpretedCondition",
    "InterpretedOrder",
    "ItemDetails",
    "Merged",
    "Provenance",
    "RankedItem",
    "RankedText",
    "Recorded",
    "RecordedStream",
    "Shortlist",
    "StageTimes",
    "StoredUser",
    "TextRanking",
]
