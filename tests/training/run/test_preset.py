from dataclasses import dataclass

import pytest

from domain.errors import ConfigurationError
from training.run.preset import preset_names, read_preset


@dataclass(frozen=True)
class _Layer:
    width: int = 4
    pairs: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class _Tower:
    epochs: int = 5
    dropout: float = 0.2
    widths: tuple[int, ...] = (64,)
    limit: int | None = None
    frozen: bool = False
    layer: _Layer = _Layer()

    def __post_init__(self):
        if self.epochs < 1:
            raise ValueError("epochs must be at least 1")


_SECTIONS = {"tower": _Tower}


def _file(tmp_path, text):
    path = tmp_path / "p.toml"
    path.write_text(text)
    return str(path)


def test_a_silent_file_leaves_the_defaults(tmp_path):
    assert read_preset(_file(tmp_path, ""), (), _SECTIONS) == {"tower": _Tower()}


def test_the_command_line_wins_over_the_file(tmp_path):
    name = _file(tmp_path, "[tower]\nepochs = 3\ndropout = 1\nwidths = [8, 4]\n")
    settings = read_preset(name, ("tower.epochs=7", "tower.limit=3", "tower.frozen=true"), _SECTIONS)
    assert settings["tower"] == _Tower(epochs=7, dropout=1.0, widths=(8, 4), limit=3, frozen=True)


def test_tables_inside_tables(tmp_path):
    name = _file(tmp_path, "[tower.layer]\npairs = [[1, 2], [3, 0.5]]\n")
    settings = read_preset(name, ("tower.layer.width=7",), _SECTIONS)
    assert settings["tower"] == _Tower(layer=_Layer(7, ((1, 2.0), (3, 0.5))))


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        ("[tower]\nepoch = 3\n", (), "tower has no setting epoch; it has epochs"),
        ("[towel]\n", (), "unknown part towel; parts are tower"),
        ("epochs = 3\n", (), "outside a table"),
        ("[tower\n", (), "broken TOML"),
        ("[tower]\nepochs = 0\n", (), "epochs must be at least 1"),
        ("[tower]\nepochs = true\n", (), "tower.epochs is True; expected int"),
        ("[tower]\nepochs = 1.5\n", (), "tower.epochs is 1.5; expected int"),
        ("[tower.layer]\nwidht = 1\n", (), "tower.layer has no setting widht"),
        ("[tower.layer]\npairs = [[1]]\n", (), "tower.layer.pairs is"),
        ("", ("tower.epochs",), "part.setting=value"),
        ("", ("tower.epochs=[",), "is not a TOML value"),
        ("[tower]\nepochs = 3\n", ("tower.epochs.width=1",), "epochs has a value of its own"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, overrides, said):
    with pytest.raises(ConfigurationError, match=said.replace("[", r"\[")):
        read_preset(_file(tmp_path, text), overrides, _SECTIONS)


def test_a_missing_preset_names_those_there_are():
    with pytest.raises(ConfigurationError, match="default"):
        read_preset("nonesuch", (), _SECTIONS)
    assert "default" in preset_names()
