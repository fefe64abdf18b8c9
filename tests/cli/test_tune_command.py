"""`shortlist tune` with one trial of Triton's real environment, in a folder that is not the checkout's."""

from pathlib import Path

import pytest

from cli.main import main
from server.settings import load_configuration
from server.triton import engine_tuning
from tests.conftest import skip_without_triton


@pytest.mark.triton
def test_a_trial_is_measured_and_written(
    releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    skip_without_triton()
    trial = engine_tuning.Trial("onnxruntime", "float32", 1, 1)
    monkeypatch.setattr(engine_tuning, "trials", lambda *_, **__: [trial])
    monkeypatch.chdir(tmp_path)
    assert main(["tune", "--releases", str(releases), "--config", "shortlist.toml", "--seconds", "0.1"]) == 0
    assert f"chosen: {trial}; written to shortlist.toml" in capsys.readouterr().out
    settings = load_configuration(tmp_path / "shortlist.toml", {}, {}).settings
    assert (settings.precision, settings.encoder_threads) == ("float32", 1)
