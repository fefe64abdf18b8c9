"""`shortlist release build`: items, vectors, graph, a release folder."""

import argparse
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flags.encoder import add_encoder_flags, check_with_model, encoder_choice
from cli.flags.files import add_file_flags, file_options_of, note_lines, text_attributes_of
from cli.flags.precision import add_precision_flags, precision_of
from cli.release.table import print_release
from cli.terminal.output import is_piped
from domain.user_cache import user_cache
from domain.vector_format import VectorFormat

if TYPE_CHECKING:
    from datafiles.items import ItemFile
    from export.release.engines import Engine

_LOG_WIDTH = 160
_MOST_WORKERS = 256


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist release build` takes."""
    parser.add_argument(
        "--items", type=Path, required=True, metavar="FILE", help=".csv, .tsv, .jsonl, .json (also .gz) or .parquet"
    )
    parser.add_argument("--encoder", metavar="NAME|DIR", help="text encoder (default: all-MiniLM-L6-v2)")
    parser.add_argument(
        "--text-attributes",
        metavar="A,B",
        help="attributes in the item texts (default: those of the --model's training, else common ones and long texts; "
        "`shortlist check` names them)",
    )
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="what `shortlist train` made: packed with its figures"
    )
    parser.add_argument(
        "--accept-worse",
        action="store_true",
        help="take a model that is worse than the current release or uncompared",
    )
    parser.add_argument("--no-promote", action="store_true", help="don't make it the current release")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that encode items (%(default)s)")
    parser.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="where they run: here, or on Ray (%(default)s)"
    )
    parser.add_argument(
        "--cache", type=Path, default=user_cache("export"), metavar="DIR", help="exported encoders (%(default)s)"
    )
    parser.add_argument("--pinyin", action="store_true", help="find Chinese titles and names by their pinyin too")
    parser.add_argument(
        "--vectors",
        choices=[one.value for one in VectorFormat],
        default=VectorFormat.FLOAT32.value,
        help="numbers of the graph's nodes (%(default)s); float16 and int8 stay on the disk, and exact vectors score",
    )
    parser.add_argument(
        "--scenes", type=Path, metavar="FILE", help="file of scenes that the release brings; checked first"
    )
    add_file_flags(parser, interactions=False)
    add_encoder_flags(parser)
    add_precision_flags(parser, "default: the items' own texts")


def run_build(args: argparse.Namespace) -> int:
    """Checks the items, embeds them, builds and measures the graph, and writes the release folder."""
    from rich.console import Console

    from cli.terminal.progress import ConsoleProgress

    console = Console() if not is_piped() else Console(width=_LOG_WIDTH)
    progress = ConsoleProgress(console)
    _check_out(args.out)
    # The items are checked before torch is imported, so that a bad file is refused at once.
    from datafiles.items import check_items

    check_with_model(args)
    engine = _engine(args.engine, args.workers)
    progress.step(f"checking {args.items}")
    counter = progress.counter(f"checking {args.items}", "items")
    catalogue = check_items(args.items, counter, options=file_options_of(args))
    for line in note_lines(catalogue.notes):
        progress.step(line)
    scenes = None if args.scenes is None else _checked_scenes(args.scenes, catalogue)
    from domain.model_folder import ENCODER
    from export.parts.model_folder import open_model_folder

    model = open_model_folder(args.model) if args.model else None
    progress.step("loading the encoder")
    from export.encoder.source import resolve_encoder
    from export.release.build import ReleaseRequest, build_release

    trained = args.model / ENCODER if model is not None and model.has(ENCODER) else None
    choice = encoder_choice(args)
    if choice.max_tokens is None and model is not None and model.text is not None:
        choice = replace(choice, max_tokens=model.text.max_tokens)
    request = ReleaseRequest(
        catalogue=catalogue,
        releases=args.out,
        encoder=resolve_encoder(args.encoder or (str(trained) if trained else None), choice),
        cache=args.cache,
        text_attributes=text_attributes_of(args.text_attributes),
        promote=not args.no_promote,
        model=model,
        accept_worse=args.accept_worse,
        engine=engine,
        precision=precision_of(args, args.calibration or args.items),
        pinyin=args.pinyin,
        vectors=VectorFormat(args.vectors),
        scenes=scenes,
    )
    release = build_release(request, progress)
    print_release(release, console)
    console.print("\nserve it:  ", end="")
    console.print(f"shortlist up --releases {shlex.quote(str(args.out))}", style="bold", highlight=False, markup=False)
    return 0


def _checked_scenes(path: Path, catalogue: "ItemFile") -> bytes:
    """Returns the content of a file of scenes that fits the items.

    Raises:
        ConfigurationError: it is not well written, or names what the items lack.
    """
    from domain.errors import ConfigurationError
    from server.scenes import CatalogueFacts, load_scenes, problems_with

    scenes = load_scenes(path, catalogue.attribute_types)
    ids = frozenset(catalogue.ids())
    problems = problems_with(scenes, CatalogueFacts(catalogue.attribute_types, ids.__contains__))
    if problems:
        raise ConfigurationError("\n".join(f"{path}: {problem}" for problem in problems))
    return path.read_bytes()


def _check_out(out: Path) -> None:
    """Refuses a folder that cannot be written before an encoder is exported for a minute.

    Raises:
        StorageError: it cannot be written.
    """
    import tempfile

    from domain.errors import StorageError

    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        for folder in made:  # a build that is refused leaves nothing
            folder.rmdir()
    except OSError as error:
        raise StorageError(f"--out {out} cannot be written: {error.strerror or error}; give another folder") from error


def _engine(name: str, workers: int) -> "Engine":
    """Chooses who encodes.

    Raises:
        ConfigurationError: there is no such number of workers.
        EngineMissing: Ray is not installed.
    """
    from domain.errors import ConfigurationError

    if not 1 <= workers <= _MOST_WORKERS:
        raise ConfigurationError(f"--workers must lie between 1 and {_MOST_WORKERS}, found {workers}")
    if name == "ray":
        from export.release.ray_engine import RayEngine

        return RayEngine(workers)
    from export.release.engines import InProcess, Processes

    return InProcess() if workers == 1 else Processes(workers)
