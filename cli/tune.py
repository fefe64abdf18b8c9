"""`shortlist tune`: measures how this machine computes the encoder fastest, and writes that to the settings."""

import argparse
import time
from pathlib import Path

HELP = "measure engines, precision, instances and threads for the encoder on this machine, and write the choice"

_SECONDS = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `shortlist tune` takes."""
    parser.add_argument("--releases", type=Path, default=Path("releases"), help="folder of releases (%(default)s)")
    parser.add_argument("--release", metavar="DIR|ID", help="whose encoder is measured (default: the current one)")
    parser.add_argument(
        "--triton-env", type=Path, metavar="DIR", help="of the embedded Triton (default: .venv-triton of the checkout)"
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=Path("shortlist.toml"),
        metavar="FILE",
        help="TOML file of settings (%(default)s)",
    )
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="of each measurement (%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Measures, prints and writes; returns the exit status."""
    from core.processor import available_cores
    from domain.errors import ConfigurationError, TritonNotUsable
    from domain.manifest import FLOAT32
    from domain.release_folder import find_release
    from server.models.encoder_choice import Machine
    from server.settings.serving import ServingSettings
    from server.triton.engine_tuning import TrialResult, best, measure, measure_all, trials, write_settings

    folder = find_release(args.releases, args.release)
    entry = folder.manifest.encoder
    if entry.precision != FLOAT32:
        raise ConfigurationError(
            f"release {folder.manifest.release_id} has an {entry.precision} encoder, which one engine alone computes; "
            "tune a float32 release"
        )
    triton_env: Path = args.triton_env or ServingSettings.model_fields["triton_env"].default
    machine, python = Machine.here(triton_env), triton_env.absolute() / "bin/python"
    wanted = trials(available_cores(), has_openvino=machine.has_openvino, bfloat16=bool(machine.bfloat16_unit))
    started_s = time.monotonic()

    def show(result: TrialResult) -> None:
        print(f"  {result.trial!s:44} {result.rows_per_s:7.0f} texts/s  one in {result.alone_ms:5.1f} ms", flush=True)

    def complain(problem: TritonNotUsable) -> None:
        print(f"  left out: {problem}", flush=True)

    model = folder.path / entry.file
    results = measure_all(wanted, lambda one: measure(one, python, model, args.seconds), show, complain)
    chosen = best(results)
    heading = f"{entry.name} on {machine.cores} cores, {time.monotonic() - started_s:.0f} s"
    write_settings(args.config, chosen, results, heading)
    print(f"chosen: {chosen.trial}; written to {args.config}: start with `shortlist up --config {args.config}`")
    return 0
