"""A small base of a live catalogue without a release: items, random vectors, words."""

import json

import numpy as np

from core.retrieval.lexical_match import LexicalIndex
from core.retrieval.vector_store import VectorStore
from domain.item import AttributeType, Item, item_from_json
from server.catalogue.change import digest_of
from server.catalogue.change_group import Embedding
from server.catalogue.item_table import ItemTable
from server.catalogue.segment import BaseSegment

WIDTH = 8
TYPES = {
    "price": AttributeType.NUMBER,
    "kind": AttributeType.STRING,
    "tags": AttributeType.STRING_LIST,
    "lat": AttributeType.NUMBER,
    "lon": AttributeType.NUMBER,
}


def vector_of(text):
    """A unit vector that a text always has."""
    seed = int(digest_of(text), 16) % 2**32
    vector = np.random.default_rng(seed).normal(size=WIDTH).astype(np.float32)
    return vector / np.linalg.norm(vector)


def base_items(count):
    return [
        {
            "id": f"b{n}",
            "title": f"alpha{n} beta{n % 5}",
            "price": n,
            "kind": f"k{n % 3}",
            **({"lat": n * 37 % 181 - 90, "lon": n * 71 % 361 - 180} if n % 4 else {"lat": 5}),
            "available": n % 7 > 0,
        }
        for n in range(count)
    ]


def write_base(folder, count=30):
    folder.mkdir(parents=True, exist_ok=True)
    rows = base_items(count)
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    LexicalIndex.build(folder / "lexical", [item_from_json(row) for row in rows])


def read_base(folder):
    items = ItemTable(folder / "items.jsonl", TYPES)
    vectors = np.stack([vector_of(items.item(row).title) for row in range(len(items))])
    content = VectorStore(vectors, np.zeros(len(items), bool))
    return BaseSegment(items, content, LexicalIndex.load(folder / "lexical"))


def embedding():
    return Embedding("encoder", lambda item: digest_of(item.title))


def random_item(rng, item_id):
    """An item with few distinct words and values, so that they meet."""
    attributes = {}
    if rng.random() < 0.8:
        attributes["price"] = float(rng.integers(0, 50))
    if rng.random() < 0.8:
        attributes["kind"] = f"k{rng.integers(0, 4)}"
    if rng.random() < 0.4:
        attributes["tags"] = tuple({f"t{rng.integers(0, 4)}" for _ in range(2)})
    if rng.random() < 0.8:
        attributes["lat"] = float(rng.integers(-90, 91))
    if rng.random() < 0.8:
        attributes["lon"] = float(rng.integers(-180, 181))
    title = f"gamma{rng.integers(0, 20)} beta{rng.integers(0, 5)}"
    return Item(item_id, title, "", bool(rng.random() < 0.85), attributes)
