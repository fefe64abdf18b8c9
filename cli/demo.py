"""`shortlist demo`: the whole way on the sample catalogue, from texts to ranked items."""

import argparse
import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from domain.user_cache import user_cache

if TYPE_CHECKING:
    from rich.console import Console

    from server.settings import Settings
    from shortlist import AsyncClient

HELP = "build a release of the sample catalogue, serve it through Triton, and show ranked items"

_ROOT = Path(__file__).resolve().parent.parent
_SAMPLE = _ROOT / "sample" / "items.jsonl"
_MAKERS = ("domain", "core", "datafiles", "export")
_FOLDER = Path("var/demo")
_DEADLINE_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist demo` takes."""
    parser.add_argument("--rebuild", action="store_true", help="build the release again even if it is there")


def run(args: argparse.Namespace) -> int:
    """Builds the release if it isn't there, serves it and prints some shortlists; returns the exit status."""
    from rich.console import Console

    from cli.loopback import loopback_settings
    from server.observability.logs import configure_logs

    console = Console()
    configure_logs("console", "error")
    releases = _FOLDER / "releases"
    if args.rebuild or not _up_to_date(releases):
        console.rule("1  a release of the sample catalogue", align="left")
        _build(releases, console)
    else:
        console.rule("1  the release is there already (--rebuild makes it again)", align="left")
    asyncio.run(_serve_and_ask(loopback_settings(releases, _FOLDER), console))
    return 0


def _up_to_date(releases: Path) -> bool:
    """Returns whether the current release is intact and was made from this very sample by this program."""
    from domain.errors import ShortlistError
    from domain.release_folder import find_release, verify

    stamp = releases / "sample.sha256"
    try:
        verify(find_release(releases, None))
        return stamp.read_text() == _stamp()
    except (ShortlistError, OSError):
        return False


def _stamp() -> str:
    """Tells the sample and the code that makes a release of it."""
    from domain.durable import sha256_of

    code = hashlib.sha256()
    for package in _MAKERS:
        for source in sorted((_ROOT / package).rglob("*.py")):
            code.update(f"{source.relative_to(_ROOT).as_posix()} {sha256_of(source)}\n".encode())
    return f"{code.hexdigest()} {sha256_of(_SAMPLE)}"


def _build(releases: Path, console: "Console") -> None:
    from cli.terminal.progress import ConsoleProgress
    from datafiles.items import check_items
    from export.encoder.source import resolve_encoder
    from export.release.build import ReleaseRequest, build_release

    progress = ConsoleProgress(console)
    catalogue = check_items(_SAMPLE)
    progress.step(f"{catalogue.item_count} items; exporting the encoder, a minute or so the first time")
    request = ReleaseRequest(catalogue, releases, resolve_encoder(None), user_cache("export"))
    release = build_release(request, progress)
    (releases / "sample.sha256").write_text(_stamp())
    progress.step(f"release {release.manifest.release_id}")


async def _serve_and_ask(settings: "Settings", console: "Console") -> None:
    from cli.terminal.progress import ConsoleProgress
    from server.app import Gateway
    from shortlist import AsyncClient

    console.rule("2  a real Triton and the gateway in front of it", align="left")
    async with Gateway(settings, ConsoleProgress(console)) as gateway:
        console.print(f"SERVING on {gateway.address}", highlight=False)
        console.rule("3  ranked items over gRPC", align="left")
        async with AsyncClient(gateway.address, deadline_s=_DEADLINE_S) as client:
            await _ask(client, console)
    console.rule("4  with your own items", align="left")
    console.print(
        "  .venv/bin/shortlist release build --items YOUR.jsonl     (or .csv: id, title and/or text, anything else)\n"
        "  .venv/bin/shortlist up\n"
        '  .venv/bin/shortlist recommend --text "..."',
        highlight=False,
        markup=False,
    )


async def _ask(client: "AsyncClient", console: "Console") -> None:
    from cli.terminal.shortlist_table import print_shortlist
    from shortlist import Event, EventKind

    mask = ["title"]
    for text in ("good quality at a fair price", "a quiet film about the sea", "质量好，价格公道"):
        console.print(f"\ntext: {text}", style="bold", highlight=False, markup=False)
        print_shortlist(await client.recommend(text, k=5, item_mask=mask), console)
    events = [
        Event("goods-phone-a", EventKind.BUY),
        Event("goods-phone-b", EventKind.VIEW),
    ]
    console.print("\nhistory: bought goods-phone-a, viewed goods-phone-b", style="bold", highlight=False)
    print_shortlist(await client.recommend(events=events, k=5, item_mask=mask, explain=True), console)
