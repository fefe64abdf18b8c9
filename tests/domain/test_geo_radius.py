"""Circles on the globe, by the rules of a condition and by columns."""

import json

import numpy as np
import pytest

from domain.condition import EARTH_RADIUS_KM, Condition, GeoRadius, meets
from domain.item import AttributeType, Item, item_to_json
from server.catalogue.columns import EntryColumns, rows_within
from server.catalogue.item_table import ItemTable

TYPES = {"lat": AttributeType.NUMBER, "lon": AttributeType.NUMBER}
ANYWHERE_KM = 20_016.0


def circle(latitude, longitude, radius_km, *, negate=False):
    return Condition("lat", GeoRadius("lon", latitude, longitude, radius_km), negate)


@pytest.fixture
def met_by(tmp_path):
    """The places that meet a condition, by three roads that must agree."""

    def met(condition, places):
        items = [Item(f"i{n}", "A", "", attributes=attributes) for n, attributes in enumerate(places)]
        path = tmp_path / "items.jsonl"
        path.write_text("".join(json.dumps(item_to_json(item)) + "\n" for item in items))
        columns = EntryColumns()
        for item in items:
            columns.append(item.attributes)
        found = [meets(condition, item.attributes) for item in items]
        assert (~ItemTable(path, TYPES).blocked_by([condition])).tolist() == found
        assert columns.met(condition, len(items)).tolist() == found
        assert columns.met(condition, 1).tolist() == found[:1]
        return found

    return met


@pytest.mark.parametrize(
    ("condition", "place", "inside"),
    [
        (circle(52.52, 13.405, 255), (53.5511, 9.9937), False),  # Berlin to Hamburg: 255.3 km
        (circle(52.52, 13.405, 256), (53.5511, 9.9937), True),
        (circle(0, 179.9, 25), (0, -179.9), True),  # over the date line: 22.2 km
        (circle(0, 179.9, 22), (0, -179.9), False),
        (circle(0, -179.9, 25), (0, 180.1), True),  # a longitude beyond 180
        (circle(0, 180, 0.001), (0, -180), True),  # one meridian by two names
        (circle(89.9, 0, 25), (89.9, 180), True),  # over the pole: 22.2 km
        (circle(89.9, 0, 22), (89.9, 180), False),
        (circle(-90, 0, 0.001), (-90, 123), True),  # the pole has every longitude
        (circle(-89.9, 90, 25), (-89.9, -90), True),
        (circle(1, 2, 1e-9), (1, 2), True),
        (circle(0, 0, 20_015), (0, 180), False),  # the antipode: half the circumference, 20,015.1 km
        (circle(0, 0, ANYWHERE_KM), (0, 180), True),
        (circle(90, 0, ANYWHERE_KM), (-90, 0), True),
        (circle(0, 0, 1e300), (-90, 0), True),
        (circle(90, 0, ANYWHERE_KM), (90.5, 0), False),  # no place
        (circle(-90, 0, 100), (-91, 0), False),
    ],
)
def test_places_inside_and_outside(met_by, condition, place, inside):
    places = [{"lat": place[0], "lon": place[1]}]
    assert met_by(condition, places) == [inside]
    assert met_by(Condition("lat", condition.test, negate=True), places) == [not inside]


def test_an_item_without_a_place_meets_no_circle_and_every_negated_one(met_by):
    places = [{}, {"lat": 1.0}, {"lon": 2.0}, {"lat": 1.0, "lon": 2.0}]
    assert met_by(circle(1, 2, ANYWHERE_KM), places) == [False, False, False, True]
    assert met_by(circle(1, 2, ANYWHERE_KM, negate=True), places) == [True, True, True, False]


def test_no_number_is_no_place():
    bad = np.array([np.nan, 1, np.inf, -np.inf, 1, 1, np.nan])
    longitudes = np.array([1, np.nan, 1, 1, np.inf, -np.inf, np.nan])
    with np.errstate(all="raise"):
        assert rows_within(GeoRadius("lon", 1, 1, ANYWHERE_KM), bad, longitudes).tolist() == []
    for latitude, longitude in zip(bad.tolist(), longitudes.tolist(), strict=True):
        assert not meets(circle(1, 1, ANYWHERE_KM), {"lat": latitude, "lon": longitude})
    for value in (True, "1", ("1",), None):
        assert not meets(circle(1, 1, ANYWHERE_KM), {"lat": value, "lon": 1} if value is not None else {"lon": 1})


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_distances_are_those_of_vectors_in_space(met_by, seed):
    """The angle between unit vectors, by another formula; many places lie near the poles and the date line."""
    rng = np.random.default_rng(seed)
    latitudes = np.concatenate([rng.uniform(-90, 90, 300), 90 - rng.exponential(1, 50), rng.exponential(1, 50) - 90])
    latitudes = np.clip(latitudes, -90, 90)
    longitudes = np.concatenate([rng.uniform(-180, 180, 300), 180 - rng.exponential(1, 50), rng.uniform(180, 360, 50)])
    places = [{"lat": lat, "lon": lon} for lat, lon in zip(latitudes.tolist(), longitudes.tolist(), strict=True)]
    vectors = _vectors(latitudes, longitudes)
    for radius_km in (1, 50, 700, 5_000, 12_000, 20_000):
        near = int(rng.integers(0, len(places)))
        latitude, longitude = latitudes[near], (longitudes[near] + 180) % 360 - 180
        (centre,) = _vectors(np.array([latitude]), np.array([longitude]))
        angles = np.arctan2(np.linalg.norm(np.cross(vectors, centre), axis=1), vectors @ centre)
        inside = (angles * EARTH_RADIUS_KM <= radius_km).tolist()
        assert met_by(circle(float(latitude), float(longitude), radius_km), places) == inside
        assert inside[near]


def _vectors(latitudes, longitudes):
    y, x = np.radians(latitudes), np.radians(longitudes)
    return np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)], axis=1)
