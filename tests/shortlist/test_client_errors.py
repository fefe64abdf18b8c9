"""A gateway's refusals become the client's errors, with all they carry."""

import pickle
import time

import grpc
import pytest

import shortlist
from shortlist import FieldViolation
from tests.support.fakes import Refusal

CODES = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (CODES.INVALID_ARGUMENT, shortlist.InvalidRequest),
        (CODES.UNIMPLEMENTED, shortlist.NotServed),
        (CODES.DEADLINE_EXCEEDED, shortlist.DeadlineExceeded),
        (CODES.RESOURCE_EXHAUSTED, shortlist.Overloaded),
        (CODES.UNAVAILABLE, shortlist.Unavailable),
        (CODES.INTERNAL, shortlist.GatewayFault),
        (CODES.UNKNOWN, shortlist.GatewayFault),
        (CODES.PERMISSION_DENIED, shortlist.AccessDenied),
        (CODES.UNAUTHENTICATED, shortlist.AccessDenied),
        (CODES.ABORTED, shortlist.ShortlistCallError),
    ],
)
def test_each_code_has_its_error(make_client, gateway, code, error):
    client = make_client(gateway.address, deadline_s=5.0, retry=None)
    gateway.plan = [Refusal(code, "no", reason="ERROR_REASON_NO_RELEASE")]
    with pytest.raises(shortlist.ShortlistCallError) as caught:
        client.recommend("x", request_id="q-1")
    assert type(caught.value) is error
    assert (caught.value.code, caught.value.message) == (code.name, "no")
    assert (caught.value.reason, caught.value.request_id) == (shortlist.ErrorReason.NO_RELEASE, "q-1")
    assert "q-1" in str(caught.value)


def test_violations_and_reason_are_told(client, gateway):
    gateway.plan = [
        Refusal(
            CODES.INVALID_ARGUMENT,
            "two fields",
            reason="INVALID_FIELD",
            violations={"k": "must be 1 to 1,000", "events[2].kind": "must be given"},
        )
    ]
    with pytest.raises(shortlist.InvalidRequest) as caught:
        client.recommend("x")
    assert caught.value.violations == (
        FieldViolation("k", "must be 1 to 1,000"),
        FieldViolation("events[2].kind", "must be given"),
    )
    assert caught.value.reason == shortlist.ErrorReason.INVALID_FIELD
    assert "events[2].kind: must be given" in str(caught.value)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy)) == (shortlist.InvalidRequest, str(caught.value))


def test_overload_tells_the_delay(client, gateway):
    gateway.plan = [Refusal(CODES.RESOURCE_EXHAUSTED, retry_delay_s=0.25)]
    with pytest.raises(shortlist.Overloaded) as caught:
        client.embed(["x"])
    assert caught.value.retry_delay_s == 0.25


def test_a_request_over_the_gateways_limit_is_no_overload(client, gateway):
    with pytest.raises(shortlist.MessageTooLarge):
        client.recommend("x" * 5_000_000)
    assert gateway.requests == []


def test_a_reply_over_the_gateways_limit_is_told_apart_from_a_wrong_field(client, gateway):
    gateway.plan = [Refusal(CODES.INVALID_ARGUMENT, "ask for fewer", reason="ERROR_REASON_REPLY_TOO_LARGE")]
    with pytest.raises(shortlist.MessageTooLarge) as caught:
        client.recommend("x")
    assert caught.value.reason == shortlist.ErrorReason.REPLY_TOO_LARGE


@pytest.mark.parametrize("details", [b"\xff\xff\xff", b""])
def test_details_of_a_strangers_making_are_passed_by(client, gateway, details):
    gateway.plan = [Refusal(CODES.INVALID_ARGUMENT, "no", details=details)]
    with pytest.raises(shortlist.InvalidRequest) as caught:
        client.recommend("x")
    assert (caught.value.reason, caught.value.violations) == (shortlist.ErrorReason.UNSPECIFIED, ())


def test_a_reason_of_a_newer_gateway_is_kept(client, gateway):
    gateway.plan = [Refusal(CODES.INVALID_ARGUMENT, "no", reason="ERROR_REASON_QUOTA_USED_UP")]
    with pytest.raises(shortlist.InvalidRequest) as caught:
        client.recommend("x")
    assert caught.value.reason == "ERROR_REASON_QUOTA_USED_UP"


@pytest.mark.parametrize("deadline", [{"deadline_s": 0.2}, {}])
def test_a_slow_gateway_runs_into_the_deadline(make_client, gateway, deadline):
    gateway.slow = True
    client = make_client(gateway.address)
    began_s = time.monotonic()
    with pytest.raises(shortlist.DeadlineExceeded):
        client.recommend("x", **deadline)
    expected_s = deadline.get("deadline_s", 1.0)
    assert expected_s - 0.05 <= time.monotonic() - began_s < expected_s + 1.0
    assert len(gateway.requests) <= 1


def test_nobody_there_is_unavailable_at_once(make_client):
    began_s = time.monotonic()
    with pytest.raises(shortlist.Unavailable) as caught:
        make_client("127.0.0.1:1", deadline_s=20.0).recommend("x")
    assert time.monotonic() - began_s < 5.0
    assert caught.value.reason == shortlist.ErrorReason.UNSPECIFIED
    assert caught.value.request_id
