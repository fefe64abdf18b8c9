"""`shortlist events` and what reads stored events, against the shared gateway and its store."""

import json
import time
import uuid

import pyarrow.parquet as pq
import pytest

from cli.main import main
from shortlist import Event, EventKind

pytestmark = [pytest.mark.triton, pytest.mark.xdist_group("gateway")]

PHONE, TEA = "goods-phone-a", "goods-tea-jasmine-green"


@pytest.fixture
def user():
    return f"user-{uuid.uuid4().hex}"


@pytest.fixture
def run(gateway, capsys):
    def call(*words):
        status = main([*words, "--address", gateway.address])
        return status, capsys.readouterr()

    return call


@pytest.fixture
def store(gateway):
    return ["--state", str(gateway.output.parent / "state")]


def test_add_show_merge_delete(run, user):
    words = ("events", "add", "--user", user, "buy", PHONE, "--event-id", "e1", "--comment", "ring 13812345678")
    status, said = run(*words)
    assert (status, said.out.split(";")[0]) == (0, "stored")
    assert run(*words)[1].out.startswith("kept already")
    assert run("events", "add", "--session", f"s-{user}", "search", "--text", "green tea")[0] == 0
    assert run("events", "merge", "--session", f"s-{user}", "--user", user)[1].out.startswith("1 events")
    shown = json.loads(run("events", "show", "--user", user, "--json")[1].out)
    assert [(one["kind"], one.get("comment", one.get("text"))) for one in shown["events"]] == [
        ("BUY", "ring [phone]"),
        ("SEARCH", "green tea"),
    ]
    assert "2 events" in run("events", "show", "--user", user)[1].out
    assert run("events", "delete", "--user", user)[1].out == "forgotten\n"
    assert run("events", "delete", "--user", user)[1].out == "nothing was kept\n"
    assert run("events", "show", "--user", user)[1].out == "nothing is kept\n"


def test_a_conflict_and_a_wrong_kind_say_what_to_do(run, user):
    run("events", "add", "--user", user, "buy", PHONE, "--event-id", "e1")
    status, said = run("events", "add", "--user", user, "buy", TEA, "--event-id", "e1")
    assert (status, "other content" in said.err) == (1, True)
    status, said = run("events", "add", "--user", user, "bought", PHONE)
    assert (status, "expected one of view" in said.err) == (1, True)


def test_recommend_for_a_user(run, user):
    token = run("events", "add", "--user", user, "buy", PHONE)[1].out.split("token ")[1].strip()
    status, said = run("recommend", "--user", user, "--explain", "--event-token", token, "--k", "3")
    assert status == 0
    assert "phone" in said.out.lower()


def test_export_is_what_train_reads(user, store, tmp_path, capsys, client):
    first, second = client.recommend(user_id=user, k=2).items
    client.record_events(
        [
            Event(first.id, EventKind.IMPRESSION, attribution_token=first.attribution_token),
            Event(second.id, EventKind.IMPRESSION, attribution_token=second.attribution_token),
            Event(first.id, EventKind.BUY, attribution_token=first.attribution_token),
        ],
        user_id=user,
    )
    out = tmp_path / "events.parquet"
    assert main(["events", "export", "--out", str(out), *store]) == 0
    assert "untouched impressions" in capsys.readouterr().out
    rows = pq.read_table(out).to_pylist()
    assert user not in {row["user_id"] for row in rows}
    kinds = {(row["item_id"], row["kind"]) for row in rows}
    assert {(first.id, "buy"), (second.id, "impression")} <= kinds
    assert (first.id, "impression") not in kinds
    from training.interactions.table import KINDS, read_interactions

    found = read_interactions(out)
    assert len(found) == len(rows)
    assert "dislike" in {KINDS[place].value for place in found.kind}


def test_report_by_release_source_and_rank(user, store, capsys, client):
    reply = client.recommend(user_id=user, k=3)
    first, second, third = reply.items
    events = [Event(one.id, EventKind.IMPRESSION, attribution_token=one.attribution_token) for one in reply.items]
    events += [Event(first.id, EventKind.CLICK, attribution_token=first.attribution_token)] * 2
    events += [Event(second.id, EventKind.BUY, attribution_token=second.attribution_token)]
    events += [Event(third.id, EventKind.NOT_HELPFUL, attribution_token=third.attribution_token)]
    client.record_events(events, user_id=user)
    assert main(["report", "--json", *store]) == 0
    tables = json.loads(capsys.readouterr().out)
    ranks = {row["part"]: row for row in tables["rank"]}
    assert ranks["1"]["impressions"] >= 1
    assert ranks["1"]["clicks"] >= 1
    assert ranks["2"]["conversions"] >= 1
    assert ranks["3"]["not_helpful"] >= 1
    assert reply.release_id in {row["part"] for row in tables["release"]}
    assert main(["report", *store]) == 0
    assert "conversions" in capsys.readouterr().out


def test_metrics_count_events_by_place(gateway, client, user):
    from urllib.request import urlopen

    (item,) = client.recommend(user_id=user, k=1).items
    client.record_events([Event(item.id, EventKind.CLICK, attribution_token=item.attribution_token)], user_id=user)
    with urlopen(f"http://{gateway.metrics_address}/metrics") as page:
        text = page.read().decode()
    assert 'shortlist_events_total{kind="click"}' in text
    assert f'release_id="{gateway.release_id}"' in text.split("shortlist_attributed_events_total{", 1)[1]
    assert user not in text


def test_import_and_import_again(run, user, tmp_path):
    path = tmp_path / "events.csv"
    now = int(time.time())
    rows = (f"{PHONE},buy,{now - 100}", f"{TEA},view,{now - 50}", f"{TEA},view,1700000000")
    path.write_text("user_id,item_id,kind,timestamp\n" + "".join(f"{user},{row}\n" for row in rows))
    too_old = "1 older than the gateway keeps events"
    assert run("events", "import", "--file", str(path))[1].out == f"2 events stored, 0 kept already, {too_old}\n"
    assert run("events", "import", "--file", str(path))[1].out == f"0 events stored, 2 kept already, {too_old}\n"


def test_lists_for_all_users(run, user, tmp_path):
    run("events", "add", "--user", user, "buy", PHONE)
    users, out = tmp_path / "users.txt", tmp_path / "lists.parquet"
    users.write_text(f"{user}\n{user}-unknown\n")
    assert run("recommend-all", "--users", str(users), "--out", str(out), "--k", "5")[0] == 0
    rows = pq.read_table(out).to_pylist()
    assert [(row["user_id"], row["rank"]) for row in rows] == [
        (name, rank) for name in (user, f"{user}-unknown") for rank in range(1, 6)
    ]
    assert {(row["user_id"], row["cold_start"]) for row in rows} == {(user, False), (f"{user}-unknown", True)}
    said = run("recommend-all", "--users", str(users), "--out", str(out), "--known-only")[1].out
    assert said.startswith("1 lists")


def test_elicit(run, user, monkeypatch):
    import io
    import sys

    lines = run("elicit", "--k", "3")[1].out.splitlines()
    assert len(lines) == 3
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\nn\n?\nstop\n"))
    assert run("elicit", "--user", user, "--ask")[0] == 0
    shown = json.loads(run("events", "show", "--user", user, "--json")[1].out)
    assert [one["kind"] for one in shown["events"]] == ["LIKE", "DISLIKE", "IMPRESSION"]
    assert len({one["item_id"] for one in shown["events"]}) == 3
