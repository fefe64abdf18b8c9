"""Made-up catalogues for the tests of the interpreter: films, goods, and Chinese goods."""

from core.query.interpreter import QueryInterpreter
from domain.catalogue_values import CatalogueValues, NumberRange
from domain.item import AttributeType

DAY_S = 86_400

PEOPLE = ("Tom Hanks", "Mira Solano", "Clint Harrow", "Young Lee", "The Who", "Cher", "Rose", "Samuel L. Brook")
FILMS = CatalogueValues(
    types={
        "genres": AttributeType.STRING_LIST,
        "director": AttributeType.STRING_LIST,
        "cast": AttributeType.STRING_LIST,
        "keywords": AttributeType.STRING_LIST,
        "studio": AttributeType.STRING,
        "text_status": AttributeType.STRING,
        "tmdb_id": AttributeType.STRING,
        "year": AttributeType.NUMBER,
        "rating": AttributeType.NUMBER,
        "runtime_minutes": AttributeType.NUMBER,
        "subtitled": AttributeType.BOOLEAN,
    },
    counts={
        "genres": dict.fromkeys(
            (
                "Comedy",
                "Horror",
                "Drama",
                "Sci-Fi",
                "Romance",
                "War",
                "Documentary",
                "Children",
                "Western",
                "Film-Noir",
            ),
            50,
        ),
        "director": {"Clint Harrow": 9, "Ana Vidal": 4, **{f"Director Number{n} Ashby": 1 for n in range(300)}},
        "cast": {**dict.fromkeys(PEOPLE, 5), **{f"Actor Number{n} Birch": 1 for n in range(300)}},
        "keywords": {
            **dict.fromkeys(("time travel", "superhero", "love", "road trip", "samurai", "robot", "clown"), 8),
            "rare phrase": 1,
            **{f"keyword number{n}": 1 for n in range(300)},
        },
        "studio": {"Northlight": 12, "Blue Door": 3},
        "text_status": {"verified": 90, "missing": 10},
        "tmdb_id": {"949": 1, "1994": 1},
    },
    ranges={
        "year": NumberRange(1915, 2018, True),
        "rating": NumberRange(0.5, 5, False),
        "runtime_minutes": NumberRange(40, 300, True),
    },
    titles=(
        "1917",
        "2012",
        "300",
        "It",
        "Her",
        "Comedy of Errors",
        "Pretty in Pink",
        "No Country for Old Men",
        "Nothing but the Truth",
        "Don't Look Up",
        "The Rocky Horror Picture Show",
        "The Longest Day",
        "Before Sunrise",
        "Star Wars",
        "Horror",
        "WarGames",
        "Not Without My Daughter",
        "Love & Drama",
        "War Drama",
        "Send Me No Flowers",
    ),
)

GOODS = CatalogueValues(
    types={
        "category": AttributeType.STRING,
        "brand": AttributeType.STRING,
        "tags": AttributeType.STRING_LIST,
        "colour": AttributeType.STRING,
        "price_gbp": AttributeType.NUMBER,
        "rating": AttributeType.NUMBER,
        "weight_kg": AttributeType.NUMBER,
        "pages": AttributeType.NUMBER,
        "pet_safe": AttributeType.BOOLEAN,
        "isRefundable": AttributeType.BOOLEAN,
        "released_at": AttributeType.TIMESTAMP,
        "link": AttributeType.STRING,
    },
    counts={
        "category": dict.fromkeys(("Coffee", "Tea", "Phones", "Watches", "Candles"), 20),
        "brand": {"Orvik": 9, "Blue Fern": 3, "Target": 2, "Ox": 1},
        "tags": {
            **dict.fromkeys(("caffeine", "pet safe", "gluten free", "wool", "light roast"), 6),
            **{f"tag number{n}": 1 for n in range(300)},
        },
        "colour": {"red": 5, "green": 4, "new": 3},
        "link": {"https://shop.example/coffee": 1},
    },
    ranges={
        "price_gbp": NumberRange(1.5, 999, False),
        "rating": NumberRange(1, 5, False),
        "weight_kg": NumberRange(0.1, 40, False),
        "pages": NumberRange(40, 900, True),
        "released_at": NumberRange(-10 * 365 * DAY_S, 20_000 * DAY_S, True),
    },
    titles=("White Candle", "Coffee Grinder Orvik 300"),
)

CHINESE = CatalogueValues(
    types={
        "类型": AttributeType.STRING_LIST,
        "导演": AttributeType.STRING,
        "标签": AttributeType.STRING_LIST,
        "价格": AttributeType.NUMBER,
        "年份": AttributeType.NUMBER,
        "评分": AttributeType.NUMBER,
    },
    counts={
        "类型": dict.fromkeys(("喜剧", "恐怖", "爱情", "超级英雄", "茶"), 30),
        "导演": {"林若水": 6, "王小川": 4},
        "标签": {"咖啡因": 8, "大海": 8, **{f"标签{n}号": 1 for n in range(300)}},
    },
    ranges={
        "价格": NumberRange(5, 900, False),
        "年份": NumberRange(1930, 2024, True),
        "评分": NumberRange(1, 5, False),
    },
    titles=("我不是药神", "没有名字的人", "不要离开我"),
)


def interpreters() -> dict[str, QueryInterpreter]:
    """Builds an interpreter of each catalogue."""
    catalogues = {"films": FILMS, "goods": GOODS, "chinese": CHINESE}
    return {name: QueryInterpreter.of_values(values) for name, values in catalogues.items()}
