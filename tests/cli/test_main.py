"""The command line itself: version, help, what was meant, completion, refusals as JSON."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from cli.flags.call import WrongArgument
from cli.flags.conditions import condition_of, conditions_of, near_of, pair_of
from cli.main import main
from shortlist import AnyNumber, AnyOf, Equals, GeoRadius, Range, TimeRange
from tests.support.running import ROOT, on_terminal


@pytest.fixture
def shortlist(capsys: pytest.CaptureFixture[str]) -> Callable[..., SimpleNamespace]:
    """Runs the command in this process; a process of its own takes a second on a busy machine."""

    def run(*words: str) -> SimpleNamespace:
        try:
            status = main(list(words))
        except SystemExit as end:
            status = end.code
        shown = capsys.readouterr()
        return SimpleNamespace(returncode=status, stdout=shown.out, stderr=shown.err)

    return run


def test_the_version_is_printed(shortlist):
    assert shortlist("--version").stdout.startswith("shortlist 0.")


def test_help_is_a_command(shortlist):
    assert shortlist("help").stdout == shortlist("--help").stdout
    assert shortlist("help", "release", "list").stdout.startswith("usage: shortlist release list")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("relase", "list"), "there is no command relase; did you mean release?"),
        (("release", "lst"), "there is no action lst; did you mean list?"),
        (("recommend", "--txet", "a"), "unknown: --txet; did you mean --text?"),
        (("release", "build", "--itmes=x"), "did you mean --items?"),
        (("recommend", "--interpretation", "prefre"), "did you mean prefer?"),
        (("xyzzy",), "there is no command xyzzy\n"),
        (
            ("release", "list", "--relaeses", "x"),
            "release list: unknown: --relaeses x; did you mean --releases?\nshortlist release list --help shows",
        ),
        (("release", "--lsit"), "shortlist release --help shows"),
        (("catalogue", "list", "--changes"), "shortlist catalogue list: unknown: --changes; did you mean --changed?"),
        (("recommend", "--k", "x"), "argument --k: expected a whole number, found 'x'\n"),
        (("recommend", "--deadline", "soon"), "argument --deadline: expected a number, found 'soon'\n"),
    ],
)
def test_what_was_meant_is_named(shortlist, words, said):
    done = shortlist(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "usage:" not in done.stderr


@pytest.mark.parametrize("action", [("list",), ("verify",), ("show",), ("prune",), ("rollback",), ("delete", "x")])
def test_what_reads_releases_takes_them_by_that_name(shortlist, tmp_path, action):
    done = [shortlist("release", *action, flag, str(tmp_path)) for flag in ("--releases", "--out")]
    assert done[0] == done[1] and str(tmp_path) in done[0].stderr + done[0].stdout
    assert "--releases DIR, --out DIR" in " ".join(shortlist("release", action[0], "--help").stdout.split())


def test_json_may_be_asked_for_where_all_is_json(shortlist):
    where = ("--json", "--address", "127.0.0.1:1", "--deadline", "1")
    for words in (("list", *where), ("get", "x", *where)):
        done = shortlist("catalogue", *words)
        assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "UNAVAILABLE")


def test_completion_knows_commands_and_flags(shortlist, tmp_path):
    script = shortlist("completion", "bash").stdout
    path = tmp_path / "completion.sh"
    path.write_text(script)
    ask = f'source {path}; COMP_WORDS=(shortlist rel); COMP_CWORD=1; _shtab_shortlist; echo "${{COMPREPLY[@]}}"'
    found = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=False)
    assert "release" in found.stdout
    assert "--text-attributes" in script
    assert shortlist("completion", "zsh").stdout.startswith("#compdef")


def test_a_refusal_is_json_too(shortlist, tmp_path):
    done = shortlist("recommend", "tea", "--json", "--address", "127.0.0.1:1", "--deadline", "2")
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "UNAVAILABLE" and "is a gateway running at 127.0.0.1:1?" in error["message"]
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("shortlist: nobody answers; is a gateway running")


@pytest.mark.parametrize("address", ["http://localhost:8470", "localhost", "::1:8470"])
def test_an_address_of_another_form_is_refused_in_words(shortlist, address):
    done = shortlist("recommend", "tea", "--address", address)
    assert done.returncode == 1 and f"--address {address}: " in done.stderr and "pattern" not in done.stderr
    assert shortlist("health", "--address", address).returncode == 1


def test_no_flag_has_none_as_its_default(shortlist):
    for command in ("up", "serve"):
        assert "(None)" not in shortlist(command, "--help").stdout


def test_settings_are_refused_in_words(shortlist):
    for words, said in (
        (("--metrics-listen", "unix:/run/g.sock"), "only listen and triton take a socket (unix:PATH)"),
        (("--log-level", "inf"), "'inf' is not one of debug, info, warning, error; did you mean info?"),
        (("--listen", "localhost"), "the port is missing: localhost:8470"),
    ):
        done = shortlist("up", *words)
        assert done.returncode == 1 and said in done.stderr and "pattern" not in done.stderr


def test_the_configuration_is_a_table_and_lines(shortlist):
    lines = shortlist("up", "--print-config").stdout.splitlines()
    assert "listen\t127.0.0.1:8470\tdefault" in lines
    assert on_terminal("up", "--print-config")[1] == 0
    records = [
        json.loads(line) for line in shortlist("up", "--print-config", "--json", "--max-k", "70").stdout.splitlines()
    ]
    assert len(records) == len(lines)
    assert {"setting": "max_k", "value": 70, "source": "--max-k"} in records


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("genre=jazz,blues", AnyOf("genre", ["blues", "jazz"])),
        ("genre==jazz", AnyOf("genre", ["jazz"])),
        ("genre!=pop", AnyOf("genre", ["pop"], negate=True)),
        ("price=14.5", AnyNumber("price", [14.5])),
        ("year=1999,2001", AnyNumber("year", [1999, 2001])),
        ("price>=20", Range("price", min=20)),
        ("vegan=true", Equals("vegan", value=True)),
        ("vegan!=FALSE", Equals("vegan", value=False, negate=True)),
    ],
)
def test_conditions_as_they_are_written(word, expected):
    assert condition_of(word) == expected


def test_a_circle_as_it_is_written():
    circle = GeoRadius("lat", "lon", latitude=-33.87, longitude=151.21, radius_km=5.0)
    assert near_of("-33.87, 151.21,5", pair_of(" lat,lon ")) == circle
    for word, said in (
        ("1,2", "expected LATITUDE,LONGITUDE,KILOMETRES"),
        ("1,2,3,4", "expected LATITUDE"),
        ("1,x,3", "expected LATITUDE"),
        ("nan,2,3", "expected LATITUDE"),
        ("91,2,3", "a latitude lies between -90 and 90 degrees, found 91"),
        ("1,-181,3", "a longitude lies between -180 and 180 degrees, found -181"),
        ("1,2,0", "the radius must be above 0 km, found 0"),
    ):
        with pytest.raises(WrongArgument, match=re.escape(said)):
            near_of(word, ("lat", "lon"))
    for word in ("lat", "lat,", "lat,lat", "a,b,c"):
        with pytest.raises(WrongArgument, match="expected two names"):
            pair_of(word)


def test_a_strict_end_leaves_itself_out():
    assert condition_of("price<20").max < 20 and condition_of("price<20").max > 19.999999
    assert condition_of("price>20").min > 20
    before, at = condition_of("seen<2026-01-31"), condition_of("seen<=2026-01-31")
    assert isinstance(before, TimeRange) and before.max < at.max


def test_the_type_of_an_attribute_decides_where_it_is_known():
    assert condition_of("pet_safe=yes", {"pet_safe": "boolean"}) == Equals("pet_safe", value=True)
    assert condition_of("year=1999", {"year": "string"}) == AnyOf("year", ["1999"])
    with pytest.raises(WrongArgument, match="price is a number, found cheap"):
        condition_of("price=cheap", {"price": "number"})


def test_ends_that_contradict_each_other_are_refused():
    with pytest.raises(WrongArgument, match="no item can meet both price>=20 and price<=10"):
        conditions_of(["price>=20", "price<=10"])
    assert len(conditions_of(["price>=20", "price<=30", "weight<=10"])) == 3
    assert len(conditions_of(["price>=20", "price<=20"])) == 2
    with pytest.raises(WrongArgument):
        conditions_of(["price>=20", "price<20"])
    with pytest.raises(WrongArgument, match=re.escape("no item can meet both price=14.5 and price=13; leave one out")):
        conditions_of(["price=14.5", "tags=a", "price=13"])
    with pytest.raises(WrongArgument, match="no item can meet both vegan=true and vegan=false"):
        conditions_of(["vegan=true", "vegan=false"])
    assert len(conditions_of(["price=14.5,13", "price=13", "price<14", "tags=a", "tags=b", "price!=14.5"])) == 6


@pytest.mark.parametrize("after_s", [0.02, 0.3, 1.0])
def test_an_interrupted_start_ends_at_once_and_says_so(tmp_path, after_s):
    words = ["shortlist", "up", "--releases", str(tmp_path), "--state", str(tmp_path), "--listen", "127.0.0.1:0"]
    words += ["--metrics-listen", "127.0.0.1:0"]
    script = (
        f"import sys; import shortlist.command as c; sys.argv = {words}; print('here', flush=True); sys.exit(c.main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    time.sleep(after_s)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=30)
    assert time.monotonic() - started < 5
    assert "Traceback" not in shown
    if process.returncode in (1, -signal.SIGINT):  # it had ended by itself, or was just about to
        assert "has no current release" in shown
    else:
        assert process.returncode == 130 and "stopping" in shown


def test_an_interruption_while_grpc_is_imported_prints_no_traceback(tmp_path):
    script = tmp_path / "shortlist"  # by this name the package knows its command
    script.write_text("import sys\nfrom shortlist.command import main\nsys.exit(main())\n")
    slow = tmp_path / "slow"  # a gRPC that takes its time
    slow.mkdir()
    (slow / "grpc.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(30)\n")
    process = subprocess.Popen(
        [sys.executable, script, "--version"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{slow}:{ROOT}"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=30)
    assert (process.returncode, shown) == (130, "shortlist: interrupted\n")


def test_other_programs_keep_their_interruptions():
    program = "import signal, shortlist; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    assert subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True, env=os.environ) == "True\n"
