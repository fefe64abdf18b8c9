"""Foreign texts are seen, names and titles are left alone. bench/languages.py counts the same over whole files."""

import json
import tempfile
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.text.language import DETECTED, EncoderLanguages, LanguageDetector
from domain.errors import StorageError
from domain.language_tags import language_name
from tests.support.running import ROOT

DATA = ROOT.parent / "shared" / "data"

FOREIGN = [
    ("fr", "un film tranquille sur la mer"),
    ("fr", "je cherche une lampe pour lire au lit"),
    ("fr", "UNE COMÉDIE SUR DEUX AMIS"),
    ("de", "eine Komödie über zwei Freunde"),
    ("de", "ein ruhiger Film über das Meer"),
    ("de", "Krimi in einem Dorf an der Küste"),
    ("es", "una película tranquila sobre el mar"),
    ("es", "regalo para mi madre que ama los libros"),
    ("it", "una commedia su due amici che si ritrovano"),
    ("pt", "um filme tranquilo sobre o mar"),
    ("nl", "een rustige film over de zee"),
    ("sv", "en lugn film om havet och två gamla vänner"),
    ("pl", "spokojny film o morzu i dwóch starych przyjaciołach"),
    ("fr", "un thriller qui se passe à Los Angeles avec Robert De Niro"),
]
ENGLISH = [
    "a quiet film about the sea",
    "scary horror film",
    "La La Land",
    "la la land",
    "Guillermo del Toro fantasy",
    "movies with Gérard Depardieu and Penélope Cruz",
    "Leonardo Di Caprio Martin Scorsese",
    "Rio de Janeiro gang drama",
    "Ludwig van Beethoven biography",
    "Buenos Aires tango romance",
    "Louis de Funès comedy",
    "the city of god (la ciudad de los hombres y de las mujeres)",
    "R.I.P.D.",
    "WHITE HANGING HEART T-LIGHT HOLDER",
    "phone under 300 euros",
    "asdfghjkl qwerty uiop",
    "café latte",
    "une comédie",
    "300",
    "",
    "   ",
]


@pytest.fixture(scope="module")
def detector():
    return LanguageDetector()


@pytest.mark.parametrize(("tag", "text"), FOREIGN)
def test_a_foreign_wish_is_seen_and_its_language_named(detector, tag, text):
    assert detector.detect(text) == tag


@pytest.mark.parametrize("text", ENGLISH)
def test_english_names_titles_and_what_is_too_short_are_left_alone(detector, text):
    assert detector.detect(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "一部关于大海的安静电影",
        "关于大海、旧朋友和他们的狗的安静电影，不要太长，也不要太吵，最好有一点幽默 un film sur la mer",
        "тихий фильм о море и двух друзьях",
        "海の静かな映画",
    ],
)
def test_other_scripts_are_left_to_the_check_of_scripts(detector, text):
    assert detector.detect(text) is None


def test_only_what_none_of_the_expected_languages_explains_counts(detector):
    french = "un film tranquille sur la mer"
    assert detector.detect(french, ("en", "fr")) is None
    assert detector.detect(french, ("en", "de")) == "fr"
    assert detector.detect("a quiet film about the sea and two old friends", ("fr",)) == "en"
    # Nothing to compare with: which words belong to Chinese cannot be read off Latin letters.
    assert detector.detect(french, ("zh",)) is None


def test_a_wish_typed_without_accents_or_in_parts_is_the_same(detector):
    assert detector.detect("una pelicula tranquila sobre el mar y dos amigos") == "es"
    assert detector.detect(unicodedata.normalize("NFD", "tête-à-tête, mystère et café crème")) == "fr"


def test_most_of_a_hundred_and_eighty_wishes_are_seen(detector):
    rows = [line.split("\t") for line in (ROOT / "bench/foreign-texts.tsv").read_text().splitlines()]
    found = [(tag, detector.detect(text), len(text.split())) for tag, text in rows]
    assert len(found) == 180
    assert sum(tag == seen for tag, seen, _ in found) >= 0.92 * 180
    long = [tag == seen for tag, seen, words in found if words >= 7]
    assert len(long) > 50
    assert sum(long) >= 0.98 * len(long)


def _rows(name: str, field: str) -> list[str]:
    path: Path = DATA / name / "items.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row[field] for row in rows if row[field]]


@pytest.mark.parametrize(
    ("name", "field", "most"),
    [("movielens-small", "title", 0.002), ("online-retail", "title", 0.002), ("movielens-small", "text", 0.005)],
)
def test_hardly_any_english_title_or_text_of_real_catalogues_is_flagged(detector, name, field, most):
    texts = _rows(name, field)
    texts = texts if field == "title" else texts[::4]
    flagged = [text for text in texts if detector.detect(text) is not None]
    assert len(flagged) < most * len(texts), flagged


def test_a_long_text_costs_little_more_than_a_short_one(detector):
    detector.detect("warm up the model once")
    started = time.process_time()
    for _ in range(20):
        detector.detect("un film tranquille sur la mer " * 3_000)
    assert (time.process_time() - started) / 20 < 0.003


def test_any_thread_may_ask_first():
    fresh = LanguageDetector()
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(fresh.detect, ["eine Komödie über zwei Freunde"] * 8))
    assert found == ["de"] * 8


class TestEncoderLanguages:
    def test_unknown_languages_flag_nothing(self, detector):
        assert EncoderLanguages((), detector).unsupported("un film tranquille sur la mer") is None
        assert EncoderLanguages(("en",)).unsupported("un film tranquille sur la mer") is None

    def test_a_language_that_is_not_among_them(self, detector):
        languages = EncoderLanguages(("en", "de"), detector)
        assert languages.unsupported("un film tranquille sur la mer") == "fr"
        assert languages.unsupported("eine Komödie über zwei Freunde") is None


def test_every_detected_language_has_a_name():
    assert all(language_name(tag) != tag for tag in DETECTED)


def test_without_room_to_unpack_its_model_it_says_how_much_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(StorageError, match="TMPDIR"):
        LanguageDetector().open()
