import grpc

from domain.errors import EncoderUnavailable, Overloaded
from server.rpc.status import status_of


def test_callers_are_not_told_where_triton_is_or_what_it_said():
    inner = (
        "Triton at unix:/tmp/shortlist-triton-x/grpc:1 cannot answer for encoder version 3 (INTERNAL): its own words"
    )
    status = status_of(EncoderUnavailable(inner))
    assert status is not None
    assert status.code == grpc.StatusCode.UNAVAILABLE
    assert status.message == "the encoder does not answer; try again later, or another replica"
    assert inner.encode() not in status.to_proto("r").SerializeToString()


def test_our_own_words_are_told():
    status = status_of(Overloaded("too many calls"))
    assert status is not None
    assert (status.message, status.retry_after_s) == ("too many calls", 0.5)
