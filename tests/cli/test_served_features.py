"""The export of served features, from a log and users' events."""

import numpy as np
import pyarrow.parquet as pq

from cli.events.features import ServedFeatures
from domain.user_history import Caller
from server.users.feature_log import FeatureLog, ServedItems
from server.users.pseudonyms import read_or_make_key
from server.users.settings import EventSettings
from shortlist.v1 import event_pb2


async def test_rows_have_the_newest_names_and_what_came_of_each_item(tmp_path):
    settings = EventSettings("none", tmp_path / "key", feature_folder=tmp_path / "features")
    key = read_or_make_key(settings.key_file)
    log = FeatureLog(settings.feature_folder, key, 1.0, 10**6, 30)
    values = np.array([[1, 2], [3, 4]], np.float32)
    for request, names in (("old", ("x", "y")), ("new", ("x", "z"))):
        log.add(Caller("ann"), request, "release", names, ServedItems(("a", "b"), (1, 2), values[0], values))
    await log.flush()
    served = ServedFeatures(settings)
    event = event_pb2.Event(item_id="b", kind=event_pb2.EVENT_KIND_BUY)
    event.time.GetCurrentTime()
    served.add(key.user("ann").hex(), [event])
    assert served.write(tmp_path / "served.parquet") == 2
    rows = pq.read_table(tmp_path / "served.parquet").to_pylist()
    assert [(row["item_id"], row["converted"], row["feature_x"], row["feature_z"]) for row in rows] == [
        ("a", False, 1.0, 2.0),
        ("b", True, 3.0, 4.0),
    ]
