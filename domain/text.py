"""Texts for the encoder, made from items and histories by the release's template; the same everywhere."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from domain.errors import ReleaseRejected
from domain.event import Event, EventKind
from domain.item import AttributeValue, Item
from domain.timestamp import Timestamp

# Attributes that usually say what an item is about; a template names those it uses, so a release never changes meaning.
COMMON_TEXT_ATTRIBUTES = ("year", "category", "categories", "subcategory", "genre", "genres", "brand", "tags")

_CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
# Letters and a symbol that are drawn as nothing: Hangul fillers and the Braille pattern without dots.
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_LETTER = re.compile(r"[^\W\d_]")

_ENGLISH_VERBS: Mapping[str, str] = {
    EventKind.VIEW: "viewed",
    EventKind.CLICK: "clicked",
    EventKind.LIKE: "liked",
    EventKind.FAVOURITE: "favourited",
    EventKind.CART: "put in the cart",
    EventKind.BUY: "bought",
    EventKind.PLAY: "played",
    EventKind.FINISH: "finished",
    EventKind.SHARE: "shared",
    EventKind.COMMENT: "commented on",
    EventKind.DISLIKE: "disliked",
}
_CHINESE_VERBS: Mapping[str, str] = {
    EventKind.VIEW: "浏览了",
    EventKind.CLICK: "点击了",
    EventKind.LIKE: "喜欢了",
    EventKind.FAVOURITE: "收藏了",
    EventKind.CART: "加购了",
    EventKind.BUY: "购买了",
    EventKind.PLAY: "播放了",
    EventKind.FINISH: "看完了",
    EventKind.SHARE: "分享了",
    EventKind.COMMENT: "评论了",
    EventKind.DISLIKE: "不喜欢",
}


@dataclass(frozen=True)
class HistoryWording:
    """Wording of histories in one language.

    Attributes:
        verbs: a verb for each event kind.
        separator: between two events.
        end: after the last event.
        comment: joins an event and what the user said about it.
    """

    verbs: Mapping[str, str]
    separator: str
    end: str
    comment: str


def _default_wordings() -> Mapping[str, HistoryWording]:
    return {
        "en": HistoryWording(_ENGLISH_VERBS, "; ", ".", ": "),
        "zh": HistoryWording(_CHINESE_VERBS, "，", "。", "："),
    }


@dataclass(frozen=True)
class TextTemplate:
    """Text template. It travels in the release's manifest, so that training and serving cannot differ.

    Attributes:
        item_attributes: attributes told between title and text, in this order; absent ones are skipped.
        part_separator: between title, attributes and text.
        value_separator: between the values of a list.
        wordings: how a history is told, by language code.
    """

    item_attributes: tuple[str, ...] = ()
    part_separator: str = ". "
    value_separator: str = ", "
    wordings: Mapping[str, HistoryWording] = field(default_factory=_default_wordings)


def check_text_attributes(wanted: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """Returns attributes that a template shall tell.

    Raises:
        ReleaseRejected: no item has one of them.
    """
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ReleaseRejected(
            f"no item has the attribute {', '.join(unknown)}; the file has {', '.join(sorted(known)) or 'none'}"
        )
    return tuple(wanted)


def item_text(item: Item, template: TextTemplate) -> str:
    """Tells an item as one text: title, the template's attributes, text; empty parts are left out."""
    parts = [item.title.strip()]
    for name in template.item_attributes:
        if name in item.attributes:
            parts.append(_value_text(item.attributes[name], template.value_separator))
    parts.append(item.text.strip())
    return template.part_separator.join(part for part in parts if part)


def history_text(events: Iterable[Event], titles: Mapping[str, str], template: TextTemplate) -> str:
    """Tells a history as one sentence, oldest event first, with a verb for each kind.

    Args:
        events: in the order in which they are to be told.
        titles: title by item id; an event whose item has none is told with its `item_title`, else left out.
        template: the release's template.

    Returns:
        The sentence, in Chinese where the titles are mostly Chinese, else in English; empty where nothing can be told.
    """
    titled = [(event, titles.get(event.item_id) or event.item_title) for event in events]
    titled = [(event, title.strip()) for event, title in titled if title.strip()]
    if not titled:
        return ""
    language = language_of(" ".join(title for _, title in titled))
    wording = template.wordings[language]
    space = "" if language == "zh" else " "
    clauses = []
    for event, title in titled:
        comment = f"{wording.comment}{event.comment.strip()}" if event.comment.strip() else ""
        clauses.append(f"{wording.verbs[event.kind]}{space}{title}{comment}")
    sentence = wording.separator.join(clauses) + wording.end
    return sentence[0].upper() + sentence[1:]


def is_visible(text: str) -> bool:
    """Returns whether there is anything to see in a text: more than spaces, marks and characters of no width."""
    return any(unicodedata.category(each)[0] in "LNPS" for each in text if each not in _FILLERS)


def language_of(text: str) -> str:
    """Returns "zh" where at least half of the letters are Chinese characters, else "en"."""
    chinese = len(_CHINESE.findall(text))
    return "zh" if chinese and 2 * chinese >= len(_LETTER.findall(text)) else "en"


def _value_text(value: AttributeValue, separator: str) -> str:
    if isinstance(value, tuple):
        return separator.join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.text if isinstance(value, Timestamp) else str(value).strip()
