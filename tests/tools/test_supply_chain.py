"""The lock of the image's packages, and a vulnerability check that does not pass what it could not check."""

from tests.support.running import ROOT
from tools.supply_chain import FAULT, LOCK, NOT_CHECKED, judge, problems_of

CONSTRAINTS = (ROOT / "constraints.txt").read_text()


def test_the_lock_has_digests_and_the_versions_of_the_constraints():
    text = LOCK.read_text()
    assert problems_of(text, CONSTRAINTS) == []
    for name in ("grpcio", "pyjwt", "cryptography", "opentelemetry-api", "hnswlib", "tritonclient", "structlog"):
        assert f"\n{name}==" in f"\n{text}", "run `make lock`"


def test_another_version_or_a_missing_digest_is_told():
    text = "structlog==1.2.3 \\\n    --hash=sha256:" + "0" * 64 + "\ngrpcio==1.85.1\n"
    assert [problem.split()[0] for problem in problems_of(text, CONSTRAINTS)] == ["structlog", "grpcio"]


def test_what_could_not_be_checked_is_no_success(capsys):
    fine = {"name": "a", "version": "1", "vulns": []}
    skipped = {"name": "b", "skip_reason": "not found on PyPI"}
    bad = {"name": "c", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
    assert judge([fine]) == 0
    assert judge([fine, skipped]) == NOT_CHECKED
    assert "1 of 2 packages checked" in (told := capsys.readouterr().out) and "NOT CHECKED: b" in told
    assert "never checked here: the embedded Triton" in told
    assert judge([fine, skipped, bad]) == FAULT
    assert "CVE-1" in capsys.readouterr().out
    assert judge([]) == NOT_CHECKED
