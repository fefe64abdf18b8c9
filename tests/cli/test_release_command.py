"""`shortlist release` and its neighbours, as a person types them."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from domain.release_folder import open_release, promote, write_manifest
from tests.support.running import on_terminal, shortlist, shortlist_here

LINES = [json.dumps({"id": f"item-{number}", "title": f"A thing called {number}"}) for number in range(10)]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def refused(*arguments: str) -> str:
    """Runs a command that must be refused, in this process; returns what it says."""
    done = shortlist_here(*arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr


class TestBadInput:
    def test_broken_json_names_its_line(self, tmp_path: Path) -> None:
        items = write(tmp_path / "items.jsonl", [*LINES[:6], '{"id": "x", ', *LINES[6:]])
        message = refused("release", "build", "--items", str(items), "--out", str(tmp_path / "out"))
        assert "line 7" in message
        assert "broken JSON" in message
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("items.jsonl", b"", "empty"),
            ("items.csv", b"", "empty"),
            ("items.jsonl", b'{"title": "no id"}\n', "id"),
            ("items.jsonl", b'{"id": "1", "title": "a"}\n{"id": "1", "title": "b"}\n', "line 2"),
            ("items.jsonl", b'{"id": "1", "title": " "}\n', "neither title nor text"),
            ("items.jsonl", b'{"id": "1", "title": "caf\xe9"}\n', "UTF-8"),
            ("items.jsonl", b'{"id":"1","title":"a","p":1}\n{"id":"2","title":"b","p":"x"}\n', "line 2"),
            ("items.xlsx", b"PK", "unknown kind of file"),
        ],
    )
    def test_item_file(self, tmp_path: Path, name: str, content: bytes, says: str) -> None:
        (tmp_path / name).write_bytes(content)
        message = refused("release", "build", "--items", str(tmp_path / name), "--out", str(tmp_path / "out"))
        assert says in message
        assert not (tmp_path / "out").exists()

    def test_missing_file(self, tmp_path: Path) -> None:
        assert "nowhere.jsonl" in refused("release", "build", "--items", str(tmp_path / "nowhere.jsonl"))

    def test_brackets_in_a_files_name_are_no_markup(self, tmp_path: Path) -> None:
        done = shortlist("release", "build", "--items", "a[/b].jsonl", "--out", str(tmp_path / "[/b]"))
        assert (done.returncode, done.stdout) == (1, "checking a[/b].jsonl\n")
        assert "a[/b].jsonl" in done.stderr
        assert "Traceback" not in done.stderr

    def test_encoder_that_does_not_exist(self, tmp_path: Path) -> None:
        items = write(tmp_path / "items.jsonl", LINES)
        words = (
            "release",
            "build",
            "--items",
            str(items),
            "--out",
            str(tmp_path / "out"),
            "--encoder",
            "no/such-model",
        )
        assert "no/such-model" in refused(*words)
        assert not list(tmp_path.glob("out/*"))

    @pytest.mark.parametrize(
        ("flags", "says"),
        [
            (["--pooling", "max"], "no pooling 'max'; supported: mean, cls, last"),
            (["--max-tokens", "600"], "positions for 512"),
            (["--encoder-languages", "english,zh"], "give tags such as en,zh"),
            (
                ["--model", "m", "--passage-prompt", "p", "--pooling", "cls"],
                "--pooling and --passage-prompt would give",
            ),
        ],
    )
    def test_what_does_not_fit_the_encoder_or_the_model(self, tmp_path: Path, flags: list[str], says: str) -> None:
        items = write(tmp_path / "items.jsonl", LINES)
        assert says in refused("release", "build", "--items", str(items), "--out", str(tmp_path / "out"), *flags)
        assert not (tmp_path / "out").exists()

    def test_unknown_text_attribute(self, tmp_path: Path) -> None:
        items = write(tmp_path / "items.jsonl", LINES)
        words = (
            "release",
            "build",
            "--items",
            str(items),
            "--out",
            str(tmp_path / "out"),
            "--text-attributes",
            "colour",
        )
        assert "colour" in refused(*words)
        assert not list(tmp_path.glob("out/*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB: too small for the encoder's 90."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder], check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk_leaves_nothing_behind(small_disk: Path, tmp_path: Path) -> None:
    items = write(tmp_path / "items.jsonl", LINES)
    out = small_disk / "releases"
    message = refused("release", "build", "--items", str(items), "--out", str(out))
    assert "No space left" in message
    assert "--out" in message
    assert list(out.glob("*")) + list(out.glob(".*")) == []


def test_full_disk_of_the_model_repository(releases: Path, small_disk: Path, tmp_path: Path) -> None:
    message = refused(
        "up", "--releases", str(releases), "--model-repository", str(small_disk / "models"), "--state", str(tmp_path),
        "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
    )  # fmt: skip
    assert "No space left" in message
    assert not list((small_disk / "models" / "encoder").glob("[0-9]*"))


class TestListAndShow:
    def test_list_marks_the_current_one(self, releases: Path) -> None:
        done = shortlist("release", "list", "--out", str(releases))
        assert done.returncode == 0
        current = (releases / "current").resolve().name
        marked = [line.split() for line in done.stdout.splitlines() if line.strip().startswith("*")]
        assert [words[1] for words in marked] == [current]

    def test_show_names_what_matters(self, releases: Path) -> None:
        done = shortlist("release", "show", "--out", str(releases))
        for word in ("279", "all-MiniLM-L6-v2", "recall@10", "unknown tokens", "parity"):
            assert word in done.stdout
        assert re.search(r"languages\s+en\b", done.stdout)
        manifest = json.loads(shortlist("release", "show", "--out", str(releases), "--json").stdout)
        assert manifest["encoder"]["languages"] == ["en"]
        assert manifest["item_count"] == 279

    def test_verify_compares_every_file(self, releases: Path, tmp_path: Path) -> None:
        done = shortlist("release", "verify", "--json", "--out", str(releases))
        facts = json.loads(done.stdout)
        assert facts["id"] == open_release(releases / "current").manifest.release_id
        assert facts["file_count"] > 5 and facts["signed"] is False and facts["unlisted"] == []
        done = shortlist("release", "verify", "--out", str(releases))
        assert (done.returncode, done.stderr) == (0, "")
        assert "files, all as built" in done.stdout
        copy = Path(shutil.copytree((releases / "current").resolve(), tmp_path / "copy"))
        with (copy / "card.md").open("a") as card:
            card.write(".")
        assert "card.md was changed" in refused("release", "verify", str(copy), "--out", str(releases))
        manifest = copy / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"viewed"', '"vieved"'))
        assert "does not fit manifest.sha256" in refused("release", "verify", str(copy), "--out", str(releases))

    def test_brackets_in_a_folders_name_are_no_markup(self, releases: Path, tmp_path: Path) -> None:
        folder = tmp_path / "[x" / "b]"
        assert f"no releases in {folder};" in shortlist("release", "list", "--out", str(folder)).stderr
        (folder / "[/r]").mkdir(parents=True)
        for name in ("manifest.json", "manifest.sha256"):
            shutil.copy(releases / "current" / name, folder / "[/r]")
        done = shortlist("release", "show", "[/r]", "--out", str(folder), COLUMNS="400")
        assert done.returncode == 0, done.stderr
        assert str(folder / "[/r]") in done.stdout

    def test_nothing_there(self, tmp_path: Path) -> None:
        assert "release build" in shortlist("release", "list", "--out", str(tmp_path)).stderr
        assert "release build" in refused("release", "show", "--out", str(tmp_path))
        assert "release list" in refused("release", "promote", "nonsense", "--out", str(tmp_path))

    def test_a_release_of_an_earlier_version_is_named_and_must_be_built_again(
        self, releases: Path, tmp_path: Path
    ) -> None:
        manifest = json.loads((releases / "current" / "manifest.json").read_text())
        (tmp_path / "r0").mkdir()
        (tmp_path / "r0" / "manifest.json").write_text(json.dumps({**manifest, "schema_version": 3}))
        for text in (
            shortlist("release", "list", "--out", str(tmp_path), COLUMNS="400").stderr,
            refused("release", "promote", "r0", "--out", str(tmp_path)),
            refused("release", "show", "r0", "--out", str(tmp_path)),
        ):
            assert "r0: the release has schema version 3" in text
            assert "build the release again" in text


class TestConfiguration:
    def test_each_setting_with_its_source(self, tmp_path: Path) -> None:
        file = tmp_path / "shortlist.toml"
        file.write_text("max_k = 50\ndefault_k = 7\n")
        done = shortlist(
            "serve", "--config", str(file), "--default-k", "9", "--print-config", SHORTLIST_MAX_EVENTS="12"
        )
        assert done.returncode == 0, done.stderr
        rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
        assert rows["max_k"] == ["50", str(file)]
        assert rows["default_k"] == ["9", "--default-k"]
        assert rows["max_events"] == ["12", "SHORTLIST_MAX_EVENTS"]
        assert rows["max_text_bytes"] == ["8192", "default"]

    def test_wrong_settings_are_named(self, tmp_path: Path) -> None:
        assert "max_k (--max-k)" in refused("up", "--max-k", "many")
        assert "SHORTLIST_MAXK" in shortlist("up", SHORTLIST_MAXK="3").stderr
        assert "--triton" in refused("serve", "--releases", str(tmp_path))


def test_recommend_without_a_gateway_says_what_to_do() -> None:
    assert "shortlist up" in refused("recommend", "--text", "tea", "--address", "127.0.0.1:9", "--deadline", "1")


def test_recommend_flags_that_cannot_be_read() -> None:
    assert "KIND:ID" in refused("recommend", "--event", "bought:x")
    assert "NAME=VALUE" in refused("recommend", "--text", "tea", "--where", "price")


@pytest.fixture
def several(releases: Path, tmp_path: Path) -> Path:
    """A folder of four releases whose manifests are there, the second of them the current one."""
    for number in range(4):
        folder = tmp_path / f"2026010{number + 1}-000000-00000{number}"
        folder.mkdir()
        write_manifest(folder, replace(open_release(releases / "current").manifest, release_id=folder.name))
        (folder / "vectors.npy").write_bytes(b"0" * 1_000_000)
    promote(tmp_path, "20260102-000000-000001")
    return tmp_path


class TestRemoval:
    def test_a_list_is_lines_that_nothing_is_cut_from_and_json(self, several: Path) -> None:
        lines = shortlist("release", "list", "--out", str(several)).stdout.splitlines()
        assert [line.split("\t")[1] for line in lines] == [f"2026010{n + 1}-000000-00000{n}" for n in range(4)]
        assert [line.split("\t")[0] for line in lines] == ["", "*", "", ""]
        entries = [
            json.loads(line)
            for line in shortlist("release", "list", "--json", "--out", str(several)).stdout.splitlines()
        ]
        assert [entry["current"] for entry in entries] == [False, True, False, False]
        shown, status = on_terminal("release", "list", "--out", str(several))
        assert status == 0 and all(f"2026010{n + 1}-000000-00000{n}" in shown for n in range(4))

    def test_what_is_deleted_is_lines_of_json_too(self, several: Path) -> None:
        def records(*words: str) -> list[dict[str, object]]:
            return [
                json.loads(line)
                for line in shortlist("release", *words, "--json", "--out", str(several)).stdout.splitlines()
            ]

        old = ["20260101-000000-000000", "20260103-000000-000002"]
        planned = records("prune", "--keep", "1", "--dry-run")
        assert [(entry["id"], entry["deleted"]) for entry in planned] == [(name, False) for name in old]
        assert all((several / name).exists() for name in old)
        first, second = records("delete", old[0])[0], records("prune", "--keep", "1")[0]
        assert [first["id"], second["id"]] == old and first["deleted"] is second["deleted"] is True
        assert 1_000_000 < int(str(first["size_bytes"])) < 2_000_000
        assert records("prune", "--keep", "1") == []

    def test_delete_and_prune_keep_the_current_one(self, several: Path) -> None:
        assert "is the current release" in refused("release", "delete", "20260102-000000-000001", "--out", str(several))
        wrong = refused("release", "delete", "20260103-000000-00000", "--out", str(several))
        assert "did you mean 20260103-000000-000002?" in wrong
        done = shortlist("release", "prune", "--keep", "1", "--dry-run", "--out", str(several))
        assert done.stdout.count("would be deleted") == 2
        done = shortlist("release", "prune", "--keep", "1", "--out", str(several))
        assert done.stdout.count("deleted, 1.0 MB") == 2
        assert sorted(path.name for path in several.iterdir()) == [
            "20260102-000000-000001",
            "20260104-000000-000003",
            "current",
        ]
        assert shortlist("release", "delete", "20260104-000000-000003", "--out", str(several)).returncode == 0
        assert sorted(path.name for path in several.iterdir()) == ["20260102-000000-000001", "current"]


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_exported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "items.csv").write_text("id,title\n1,a\n")
    words = ("release", "build", "--items", str(tmp_path / "items.csv"), "--out", str(tmp_path / "file" / "releases"))
    assert "cannot be written: Not a directory; give another folder" in refused(*words)
