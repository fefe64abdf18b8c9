"""A build packs its file of scenes, and refuses one that does not fit the items."""

import pytest

from cli.main import main
from cli.release.build import _checked_scenes
from datafiles.items import check_items
from domain import release_folder as layout
from domain.errors import ConfigurationError, ReleaseRejected
from domain.release_folder import verify

pytestmark = pytest.mark.xdist_group("workshop")


def written(folder, text):
    path = folder / "given.toml"
    path.write_text(text)
    return path


def test_a_release_brings_its_scenes(workshop, tmp_path, capsys):
    catalogue = check_items(workshop.folder / "items.jsonl")
    path = written(
        tmp_path, '[scenes.home]\nk = 3\nconditions = ["price<20"]\narrangement = { pins = ["item-04@2"] }\n'
    )
    content = _checked_scenes(path, catalogue)
    release = workshop.build(None, releases=tmp_path / "releases", scenes=content)
    verify(release)
    assert (release.path / layout.SCENES).read_bytes() == path.read_bytes()
    words = ["--releases", str(tmp_path / "releases")]
    assert main(["scenes", "list", *words]) == 0
    assert main(["scenes", "check", *words, "--release", release.manifest.release_id]) == 0
    out = capsys.readouterr().out
    assert "k 3" in out and "and fits the release" in out
    # What is beside the releases wins, as for a gateway.
    (tmp_path / "releases" / layout.SCENES).write_text("[scenes.other]\n")
    assert main(["scenes", "list", *words]) == 0
    assert "other" in capsys.readouterr().out
    (release.path / layout.SCENES).write_text("[scenes.home]\nk = 4\n")
    with pytest.raises(ReleaseRejected, match=r"scenes\.toml"):
        verify(release)


def test_scenes_that_do_not_fit_the_items_are_refused_before_anything_is_built(workshop, tmp_path):
    catalogue = check_items(workshop.folder / "items.jsonl")
    with pytest.raises(ConfigurationError) as refused:
        _checked_scenes(
            written(tmp_path, '[scenes.home]\nconditions = ["wheels=4"]\narrangement = { pins = ["nothing@2"] }\n'),
            catalogue,
        )
    assert 'no item has an attribute "wheels"' in str(refused.value)
    assert '"nothing" is not in the catalogue' in str(refused.value)
