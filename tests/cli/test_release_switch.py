"""The operator's socket: a gateway that refuses is not taken for none."""

import socket
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import pytest

from cli.flags.call import CallFailed
from cli.main import main
from cli.release.switch import switched_live
from domain.errors import EncoderUnavailable
from server.rpc.release import SOCKET
from server.rpc.status import DETAILS_KEY, status_of
from shortlist.v1 import release_pb2 as pb
from shortlist.v1 import release_pb2_grpc as pb_grpc


class Refusing(pb_grpc.ReleaseServiceServicer):
    """Answers UNAVAILABLE as a gateway does."""

    def __init__(self, folder):
        self.folder = folder

    def ListReleases(self, request, context):
        return pb.ListReleasesResponse(folder=str(self.folder))

    def refuse(self, request, context):
        details = status_of(EncoderUnavailable("")).to_proto("1").SerializeToString()
        context.set_trailing_metadata(((DETAILS_KEY, details),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "the encoder does not answer")

    PromoteRelease = RollbackRelease = SnapshotCatalog = refuse


@pytest.fixture
def state(tmp_path):
    server = grpc.server(ThreadPoolExecutor(1))
    pb_grpc.add_ReleaseServiceServicer_to_server(Refusing(tmp_path), server)
    server.add_insecure_port(f"unix:{tmp_path / SOCKET}")
    server.start()
    yield tmp_path
    server.stop(None)


def test_a_gateway_that_refuses_a_switch_is_not_taken_for_none(state):
    for release_id in ("next", None):
        with pytest.raises(CallFailed, match="encoder"):
            switched_live(SimpleNamespace(state=state, out=state), release_id)


def test_a_gateway_that_refuses_a_snapshot_is_not_taken_for_none(state, capsys):
    assert main(["catalogue", "snapshot", str(state / "backup"), "--state", str(state)]) == 1
    assert "encoder" in capsys.readouterr().err


def test_a_socket_that_a_killed_gateway_left_is_not_a_gateway(tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / SOCKET))
    assert switched_live(SimpleNamespace(state=tmp_path, out=tmp_path), "next") is None
