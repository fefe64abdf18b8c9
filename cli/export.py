"""`shortlist export`: a trained encoder -> ONNX -> Triton's model repository."""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flags.encoder import add_encoder_flags, encoder_choice
from cli.flags.precision import add_precision_flags, precision_of
from domain.progress import LineProgress
from domain.user_cache import user_cache

if TYPE_CHECKING:
    from export.encoder.source import EncoderSource
    from export.precision.gate import PrecisionReport
    from export.prepare_encoder import EncoderExport, PreparedEncoder

_PROGRESS = LineProgress(partial(print, flush=True))
HELP = "turn a trained text encoder into ONNX, check it against torch, and install it for Triton"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist export` takes."""
    parser.add_argument(
        "--encoder",
        metavar="NAME|DIR",
        help="a folder, plain transformers or sentence-transformers, or a Hugging Face name "
        "(default: all-MiniLM-L6-v2, which comes with the installation)",
    )
    parser.add_argument(
        "--model-repository",
        metavar="DIR",
        type=Path,
        default=Path("model_repository"),
        help="Triton's model repository (default: %(default)s)",
    )
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        default=user_cache("export"),
        help="where checked files are kept, so that the next export or release takes no time (default: %(default)s)",
    )
    add_encoder_flags(parser)
    parser.add_argument(
        "--tensorrt",
        action="store_true",
        help="build a TensorRT plan too, on this machine's GPU, with its configuration (--precision float16)",
    )
    parser.add_argument(
        "--report",
        metavar="FILE",
        type=Path,
        help="measure every precision on the --calibration texts and write a page about it; nothing is installed",
    )
    add_precision_flags(parser, "required for float16 and int8")


def run(args: argparse.Namespace) -> int:
    """Exports, printing each step and what came out; returns the exit status.

    Raises:
        ShortlistError: it can't be done; the message says why and what to do.
    """
    print("loading torch and ONNX", flush=True)
    return _report(args) if args.report is not None else _export(args)


def _export(args: argparse.Namespace) -> int:
    started = time.monotonic()
    from export.encoder.source import resolve_encoder
    from export.prepare_encoder import DEFAULT_MAX_BATCH_SIZE, install_encoder, prepare_encoder

    limits = {"max_batch_size": DEFAULT_MAX_BATCH_SIZE}
    source = resolve_encoder(args.encoder, encoder_choice(args))
    precision = precision_of(args, args.calibration)
    if args.tensorrt:
        _check_tensorrt(args.precision)
    prepared = prepare_encoder(source, args.cache, progress=_PROGRESS, precision=precision, **limits)
    plan = _plan(prepared, args.cache) if args.tensorrt else None
    result = install_encoder(prepared, args.model_repository, progress=_PROGRESS, **limits)
    if plan is not None:
        _install_plan(plan, result)
    onnx, parity = prepared.onnx, prepared.parity
    print(f"version           {result.version} ({result.path})")
    print(f"encoder           {source.family}, {source.pooling} pooling, {source.dimension} dimensions")
    for line in encoder_lines(source):
        print(line)
    print(f"languages         {', '.join(source.languages) or 'unknown: name them by --encoder-languages'}")
    print(f"size              {onnx.size_bytes / 1e6:.1f} MB, sha256 {onnx.sha256}")
    print(f"worst cosine      {parity.worst_cosine:.8f} to torch, over {len(parity.cases)} cases")
    print(f"batch difference  {parity.worst_difference:.1e} at worst, for the same text in other company")
    if parity.limits:
        print(f"memory            {parity.limits}")
    if prepared.gate is not None:
        _print_gate(prepared.precision, prepared.gate)
    earlier = " when it was made" if prepared.from_cache else ""
    parts = f"export {onnx.seconds:.1f}, check {parity.seconds:.1f}{earlier}"
    print(f"time              {time.monotonic() - started:.1f} s ({parts})")
    return 0


def encoder_lines(source: "EncoderSource") -> list[str]:
    """Returns what an encoder does with texts and vectors, a line each."""
    prompts = [f"prompt            {note}" for note in source.notes]
    if not prompts:
        named = (("query", source.query_prompt), ("passage", source.passage_prompt))
        prompts = [f'prompt            {role} prompt given: "{text}"' for role, text in named if text]
    lines = prompts or ["prompts           none"]
    if source.truncation_side == "left":
        lines.append("long texts        are cut on the left: their end is read")
    if source.full_dimension:
        lines.append(
            f"dimensions        the first {source.dimension} of {source.full_dimension}: right for an encoder that was "
            "trained for it (Matryoshka)"
        )
    return lines


def _report(args: argparse.Namespace) -> int:
    """Measures every precision and writes the page."""
    from domain.manifest import INT8
    from export.comparison.html import write_page
    from export.comparison.report import lines, measure_precisions
    from export.encoder.source import resolve_encoder
    from export.precision.calibration import Precision, read_calibration

    texts = read_calibration(args.calibration) if args.calibration is not None else ()
    Precision(INT8, texts).check()
    table = measure_precisions(resolve_encoder(args.encoder, encoder_choice(args)), texts, args.cache, _PROGRESS)
    write_page(table, args.report)
    print("\n".join(lines(table)))
    print(f"{table.text_count} texts, {table.machine}; rows of tokens x texts in a call")
    print(f"page              {args.report}")
    return 0


def _check_tensorrt(precision: str) -> None:
    """Refuses before anything is exported what no plan can be built from, or where."""
    from export.tensorrt.build import check_precision
    from export.tensorrt.machine import find_machine

    check_precision(precision)
    find_machine()


def _plan(prepared: "PreparedEncoder", cache: Path) -> Path:
    from export.prepare_encoder import DEFAULT_MAX_BATCH_SIZE
    from export.tensorrt.build import PlanSource, prepare_plan

    onnx = prepared.onnx
    source = PlanSource(onnx.path, onnx.sha256, prepared.precision, prepared.source.max_tokens, DEFAULT_MAX_BATCH_SIZE)
    return prepare_plan(source, cache, _PROGRESS)


def _install_plan(plan: Path, result: "EncoderExport") -> None:
    from export.prepare_encoder import DEFAULT_MAX_BATCH_SIZE
    from export.tensorrt.build import install_plan, write_gpu_configs

    print(f"plan              {install_plan(plan, result.path.parent)}")
    for path in write_gpu_configs(result.path.parent.parent, result.prepared.source.max_tokens, DEFAULT_MAX_BATCH_SIZE):
        print(f"configuration     {path}; chosen with --model-config-name={path.stem}")


def _print_gate(name: str, gate: "PrecisionReport") -> None:
    texts = f"{name} to float32, over {gate.text_count} texts"
    print(f"cosine alone      {gate.alone_min:.5f} at worst, {gate.alone_p1:.5f} the 1st percentile, {texts}")
    print(f"cosine mixed      {gate.mixed_min:.5f} at worst, {gate.mixed_p1:.5f} the 1st percentile, in full batches")
    print(f"company           {gate.company_min:.7f} at worst between the same text alone and in a batch")
    print(f"recall@10 kept    {gate.recall_kept:.1%} of the nearest texts by float32")
    if name == "float16":
        print("float16           is for GPUs: on a CPU it is slower than float32")
