import pytest

from domain.addresses import address_problem


@pytest.mark.parametrize("address", ["127.0.0.1:8470", "localhost:0", "[::1]:8470", "shop.svc:443", "[fe80::1%eth0]:1"])
def test_addresses(address):
    assert address_problem(address) == ""


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("unix:/run/g.sock", "(unix:PATH); give HOST:PORT"),
        ("http://localhost:8470", "no http:// before it; give HOST:PORT, for example localhost:8470"),
        ("https://shop.example/api", "no https:// before it; give HOST:PORT, for example 127.0.0.1:8470"),
        ("grpc://127.0.0.1:8470/", "for example 127.0.0.1:8470"),
        ("8470", "the host is missing: 127.0.0.1:8470"),
        (":8470", "the host is missing: 127.0.0.1:8470, or 0.0.0.0:8470"),
        ("localhost", "the port is missing: localhost:8470"),
        ("127.0.0.1:", "the port is missing: 127.0.0.1:8470"),
        ("127.0.0.1:port", 'the port "port" is not a number'),
        ("127.0.0.1:99999", "the port 99999 is above 65535"),
        ("::1:8470", "stands in brackets: [::1]:8470"),
        ("::1", "[::1]:8470 if no port is in it"),
        ("[::1]", "the port is missing: [::1]:8470"),
        ("[::1:8470", "the bracket is not closed"),
        ("", "it is empty"),
        ("local host:1", "there is a space in it"),
        ("host:8470/path", "there is a path in it; give HOST:PORT, for example host:8470"),
    ],
)
def test_what_is_wrong_is_said_in_words(address, words):
    assert words in address_problem(address)


def test_a_socket_where_one_is_taken():
    assert address_problem("unix:/run/g.sock", sockets=True) == ""
    assert "needs its path" in address_problem("unix:", sockets=True)
