"""`shortlist export`: a trained encoder -> ONNX -> Triton's model repository."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cli.precision_flags import add_precision_flags, precision_of

if TYPE_CHECKING:
    from export.precision_gate import PrecisionReport

from cli.encoder_flags import add_encoder_flags, encoder_choice

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
        default=Path(".cache/export"),
        help="where checked files are kept, so that the next export or release takes no time (default: %(default)s)",
    )
    add_encoder_flags(parser)
    add_precision_flags(parser, "required for float16 and int8")


def run(args: argparse.Namespace) -> int:
    """Exports, printing each step and what came out; returns the exit status.

    Raises:
        ShortlistError: it can't be done; the message says why and what to do.
    """
    started = time.monotonic()
    print("loading torch and ONNX", flush=True)
    from export.encoder import DEFAULT_MAX_BATCH_SIZE, install_encoder, prepare_encoder
    from export.encoder_source import resolve_encoder

    def say(step: str) -> None:
        print(step, flush=True)

    limits = {"max_batch_size": DEFAULT_MAX_BATCH_SIZE}
    source = resolve_encoder(args.encoder, encoder_choice(args))
    precision = precision_of(args, args.calibration)
    prepared = prepare_encoder(source, args.cache, on_step=say, precision=precision, **limits)
    result = install_encoder(prepared, args.model_repository, on_step=say, **limits)
    onnx, parity = prepared.onnx, prepared.parity
    print(f"version           {result.version} ({result.path})")
    print(f"encoder           {source.family}, {source.pooling} pooling, {source.dimension} dimensions")
    print(f"size              {onnx.size_bytes / 1e6:.1f} MB, sha256 {onnx.sha256}")
    print(f"worst cosine      {parity.worst_cosine:.8f} to torch, over {len(parity.cases)} cases")
    print(f"batch difference  {parity.worst_difference:.1e} at worst, for the same text in other company")
    if prepared.gate is not None:
        _print_gate(prepared.precision, prepared.gate)
    earlier = " when it was made" if prepared.from_cache else ""
    parts = f"export {onnx.seconds:.1f}, check {parity.seconds:.1f}{earlier}"
    print(f"time              {time.monotonic() - started:.1f} s ({parts})")
    return 0


def _print_gate(name: str, gate: "PrecisionReport") -> None:
    texts = f"{name} to float32, over {gate.text_count} texts"
    print(f"cosine alone      {gate.alone_min:.5f} at worst, {gate.alone_p1:.5f} the 1st percentile, {texts}")
    print(f"cosine mixed      {gate.mixed_min:.5f} at worst, {gate.mixed_p1:.5f} the 1st percentile, in full batches")
    print(f"company           {gate.company_min:.7f} at worst between the same text alone and in a batch")
    print(f"recall@10 kept    {gate.recall_kept:.1%} of the nearest texts by float32")
    if name == "float16":
        print("float16           is for GPUs: on a CPU it is slower than float32")
