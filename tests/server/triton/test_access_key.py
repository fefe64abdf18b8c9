from pathlib import Path

import pytest

from domain.errors import ConfigurationError
from server.triton.access_key import read_access_key


@pytest.mark.parametrize("content", ["shortlist=s3cret=x", "shortlist=s3cret=x\n"])
def test_the_header_is_the_one_that_triton_compares(tmp_path: Path, content: str):
    (tmp_path / "key").write_text(content)
    key = read_access_key(tmp_path / "key")
    assert key.header == ("triton-grpc-protocol-shortlist", "s3cret=x")
    assert "s3cret" not in repr(key)


@pytest.mark.parametrize(
    "content", [b"", b"s3cret", b"=s3cret", b"Name=s3cret", b"a=s3cret\nb=s3cret", b"a=s3 cret", b"a=s3cret\xff", b"a="]
)
def test_what_is_no_key_is_refused_without_telling_it(tmp_path: Path, content: bytes):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigurationError, match="triton_key_file") as refused:
        read_access_key(tmp_path / "key")
    assert "cret" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="No such file") as refused:
        read_access_key(tmp_path / "key")
    assert str(tmp_path / "key") in str(refused.value)
