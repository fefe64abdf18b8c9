"""The gateway's place: a port, or a socket in the file system."""

import contextlib
import socket
import stat

import grpc
import pytest

from domain.errors import ConfigurationError
from server.listener import reserved
from server.settings import load_configuration
from shortlist import Client
from tests.support.fakes import FakeGateway
from tests.support.running import shortlist


async def test_a_socket_is_its_users_alone_and_replaces_one_that_nobody_answers(tmp_path):
    path = tmp_path / "g.sock"
    address = f"unix:{path}"
    with reserved(address) as place:
        assert place.address == address
        server = grpc.aio.server()
        place.listen(server, None)
        await server.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(ConfigurationError, match="cannot be bound"), reserved(address):
            pass
        kept = path.with_name("kept")
        kept.hardlink_to(path)
        await server.stop(None)
    kept.rename(path)  # as a killed gateway leaves it
    with reserved(address) as place:
        server = grpc.aio.server()
        place.listen(server, None)
        await server.stop(None)


async def test_a_path_that_a_starting_gateway_holds_is_taken(tmp_path):
    address = f"unix:{tmp_path}/g.sock"
    with reserved(address), pytest.raises(ConfigurationError, match="cannot be bound"), reserved(address):
        pass
    with reserved(address) as place:
        assert place.address == address


def test_a_gateway_too_busy_to_take_connections_keeps_its_socket(tmp_path):
    path = tmp_path / "g.sock"
    with contextlib.ExitStack() as stack:
        busy = stack.enter_context(socket.socket(socket.AF_UNIX))
        busy.bind(str(path))
        busy.listen(0)
        for _ in range(3):
            caller = stack.enter_context(socket.socket(socket.AF_UNIX))
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(str(path))
        with pytest.raises(ConfigurationError, match="cannot be bound"), reserved(f"unix:{path}"):
            pass
    assert path.is_socket()


async def test_folders_that_are_made_meanwhile_can_be_entered(tmp_path):
    made = tmp_path / "made"

    class Server:
        def add_insecure_port(self, address):
            made.mkdir()
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(address.removeprefix("unix:"))
                assert not stat.S_IMODE((tmp_path / "g.sock").stat().st_mode) & 0o077

    with reserved(f"unix:{tmp_path}/g.sock") as place:
        place.listen(Server(), None)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("name", "message"),
    [("x" * 120, "longer than 107 bytes"), ("none/g.sock", "there is no folder"), ("file", "a file of that name")],
)
def test_a_path_that_cannot_be_a_socket(tmp_path, name, message):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=message), reserved(f"unix:{tmp_path / name}"):
        pass


def test_a_socket_needs_no_encryption_and_no_keys(tmp_path):
    settings = load_configuration(None, {}, {"listen": f"unix:{tmp_path}/g.sock"}).settings
    assert settings.listen == f"unix:{tmp_path}/g.sock"
    assert settings.drain_for_s < 1


def test_clients_call_over_a_socket(tmp_path):
    path = tmp_path / "g.sock"
    fake = FakeGateway().start(f"unix:{path}")
    try:
        with Client(f"unix:{path}", deadline_s=10) as client:
            assert client.recommend("tea", k=1).items[0].id == "item-1"
        done = shortlist("recommend", "tea", "--k", "1", "--address", f"unix:{path}", "--deadline", "20")
        assert (done.returncode, done.stdout.split("\t")[:2]) == (0, ["1", "item-1"])
    finally:
        fake.stop()
