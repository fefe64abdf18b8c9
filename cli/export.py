"""`shortlist export`: a trained encoder -> ONNX -> Triton's model repository."""

import argparse
import time
from pathlib import Path

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


def run(args: argparse.Namespace) -> int:
    """Exports, printing each step and what came out; returns the exit status.

    Raises:
        ShortlistError: it can't be done; the message says why and what to do.
    """
    started = time.monotonic()
    print("loading torch and ONNX", flush=True)
    from export.encoder import export_encoder
    from export.encoder_source import resolve_encoder

    result = export_encoder(
        resolve_encoder(args.encoder, encoder_choice(args)),
        args.model_repository,
        cache=args.cache,
        on_step=lambda step: print(step, flush=True),
    )
    source, onnx, parity = result.prepared.source, result.prepared.onnx, result.prepared.parity
    print(f"version           {result.version} ({result.path})")
    print(f"encoder           {source.family}, {source.pooling} pooling, {source.dimension} dimensions")
    print(f"size              {onnx.size_bytes / 1e6:.1f} MB, sha256 {onnx.sha256}")
    print(f"worst cosine      {parity.worst_cosine:.8f} to torch, over {len(parity.cases)} cases")
    print(f"batch difference  {parity.worst_difference:.1e} at worst, for the same text in other company")
    earlier = " when it was made" if result.prepared.from_cache else ""
    parts = f"export {onnx.seconds:.1f}, check {parity.seconds:.1f}{earlier}"
    print(f"time              {time.monotonic() - started:.1f} s ({parts})")
    return 0
