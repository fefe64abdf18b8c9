"""`shortlist up` as a person meets it: a taken port, and what to type next."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shortlist import Client, Tls
from tests.conftest import Certificate
from tests.support.running import ROOT, start_gateway

MODULE = ("-m", "cli.main")
SCRIPT = ("-c", "import sys; from shortlist.command import main; sys.exit(main())")


@pytest.mark.parametrize("entry", [MODULE, SCRIPT], ids=["module", "script"])
def test_a_taken_port_prints_our_message_alone(releases: Path, tmp_path: Path, entry: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        words = ["up", "--releases", str(releases), "--state", str(tmp_path), "--metrics-listen", "127.0.0.1:0"]
        done = subprocess.run(
            [sys.executable, *entry, *words, "--listen", address], cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith(f"shortlist: listen {address}: the address cannot be bound")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.triton
def test_the_line_to_try_has_the_flags_that_tls_needs(
    releases: Path, model_repository: Path, certificate: Certificate, tmp_path: Path
) -> None:
    files = ("--tls-certificate", str(certificate.certificate), "--tls-key", str(certificate.key))
    running = start_gateway(
        tmp_path, "--releases", str(releases), "--model-repository", str(model_repository), *files,
        "--tls-client-ca", str(certificate.certificate),
    )  # fmt: skip
    try:
        flags = f"--address {running.address} --tls-ca FILE --tls-certificate FILE --tls-key FILE"
        assert f'  try      shortlist recommend {flags} --text "..."' in running.text()
        tls = Tls.from_files(
            certificate.certificate, private_key=certificate.key, certificate_chain=certificate.certificate
        )
        with Client(running.address.replace("127.0.0.1", "localhost"), tls=tls, deadline_s=5) as client:
            assert len(client.recommend("tea", k=3).items) == 3
    finally:
        assert running.stop() == 0
