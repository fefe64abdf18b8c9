from training.run.log import CURVES_FILE, CURVES_PICTURE, RunLog


def test_curves_are_kept_over_an_interruption_and_drawn(tmp_path):
    said = []
    with RunLog(tmp_path, said.append) as log:
        log.step("training")
        log.metric("tower/loss", 1, 2.0)
    with RunLog(tmp_path, said.append) as log:
        log.metric("tower/loss", 2, 1.5)
        log.metric("tower/validation_recall_at_10", 2, 0.1)
    assert said == ["training"]
    assert (tmp_path / CURVES_FILE).read_text().splitlines() == [
        "tower/loss,1,2",
        "tower/loss,2,1.5",
        "tower/validation_recall_at_10,2,0.1",
    ]
    assert (tmp_path / CURVES_PICTURE).read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "tensorboard").iterdir())
