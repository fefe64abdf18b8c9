"""Measurement of the encoder's engines and layouts on this machine, and the choice among them."""

import json
import re
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from domain.durable import write_atomic
from domain.errors import StorageError, TritonNotUsable

_PROGRAM = Path(__file__).parent / "backends" / "engine_trial.py"
_KEYS = ("precision", "encoder_config", "encoder_instances", "encoder_threads")
_TRIAL_TIMEOUT_S = 60.0
# A trial counts as equally fast in batches within this; then the one that answers a single text soonest is taken.
_EQUAL = 0.05
# Further instances have to bring this much: each holds the weights, and a dead one hides beside a live one.
_WORTH_AN_INSTANCE = 0.1


@dataclass(frozen=True)
class Trial:
    """One way to compute the encoder.

    Attributes:
        engine: "onnxruntime" or "openvino".
        numbers: "float32" or "bfloat16".
        instances: processes at once.
        threads: of each.
    """

    engine: str
    numbers: str
    instances: int
    threads: int

    def settings(self) -> dict[str, object]:
        """Returns the gateway's settings for it."""
        shape: dict[str, object] = {"encoder_instances": self.instances, "encoder_threads": self.threads}
        if self.engine == "openvino" and self.numbers == "float32":
            return {"encoder_config": "openvino", **shape}
        return {"precision": self.numbers, **shape}

    def __str__(self) -> str:
        return f"{self.engine} {self.numbers}, {self.instances} x {self.threads} threads"


@dataclass(frozen=True)
class TrialResult:
    """Speed of one of them.

    Attributes:
        trial: the way.
        alone_ms: of one short text, milliseconds.
        rows_per_s: texts a second in batches, all instances together.
    """

    trial: Trial
    alone_ms: float
    rows_per_s: float


def trials(cores: int, *, has_openvino: bool, bfloat16: bool) -> list[Trial]:
    """Returns what is worth measuring on so many cores, the plainest first."""
    engines = [("onnxruntime", "float32")]
    engines += [("openvino", "float32")] if has_openvino else []
    engines += [("openvino", "bfloat16")] if has_openvino and bfloat16 else []
    shapes = {(1, min(cores, 4)), (1, 1), (min(cores, 4), 1), (min(cores, 4), max(1, cores // 4))}
    return [Trial(*engine, *shape) for engine in engines for shape in sorted(shapes)]


def measure(trial: Trial, python: Path, model: Path, seconds: float) -> TrialResult:
    """Measures one way; blocking.

    Args:
        trial: the way.
        python: interpreter of the embedded Triton's environment.
        model: the encoder's ONNX file.
        seconds: about how long, besides the loading of the model.

    Raises:
        TritonNotUsable: the engine does not run there; says why.
    """
    words = [str(python), str(_PROGRAM), str(model), trial.engine, trial.numbers, str(trial.threads), str(seconds)]
    running: list[subprocess.Popen[str]] = []
    with ExitStack() as stack:
        try:
            for _ in range(trial.instances):
                process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                running.append(stack.enter_context(process))  # closes the pipes and waits
                stack.callback(process.kill)
            answers = [process.communicate(timeout=_TRIAL_TIMEOUT_S) for process in running]
        except OSError as error:
            raise TritonNotUsable(f"{trial}: {python} cannot be started: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise TritonNotUsable(f"{trial}: no figure within {_TRIAL_TIMEOUT_S:g} s; is the machine busy?") from error
    figures = []
    for process, (out, problem) in zip(running, answers, strict=True):
        if process.returncode != 0:
            last = (problem.strip().splitlines() or [f"it ended with {process.returncode}"])[-1]
            raise TritonNotUsable(f"{trial} does not run by {python}: {last}")
        figures.append(json.loads(out))
    return TrialResult(trial, max(one["alone_ms"] for one in figures), sum(one["rows_per_s"] for one in figures))


def measure_all(
    wanted: Sequence[Trial],
    measure_one: Callable[[Trial], TrialResult],
    on_result: Callable[[TrialResult], None],
    on_problem: Callable[[TritonNotUsable], None],
) -> list[TrialResult]:
    """Measures each way twice, the second time in reverse order, and keeps the faster figures of each.

    One that does not run is told of and left out.

    Raises:
        TritonNotUsable: none runs.
    """
    results: dict[Trial, TrialResult] = {}
    problems: dict[Trial, TritonNotUsable] = {}
    for trial in (*wanted, *reversed(wanted)):
        if trial in problems:
            continue
        try:
            result = measure_one(trial)
        except TritonNotUsable as error:
            problems[trial] = error
            results.pop(trial, None)
            on_problem(error)
            continue
        before = results.get(trial, result)
        alone_ms = min(before.alone_ms, result.alone_ms)
        results[trial] = TrialResult(trial, alone_ms, max(before.rows_per_s, result.rows_per_s))
        on_result(result)
    if not results and problems:
        raise next(iter(problems.values()))
    return list(results.values())


def best(results: Sequence[TrialResult]) -> TrialResult:
    """Returns the fastest in batches; among those as fast, the soonest with one text; more instances must pay."""

    def worth(result: TrialResult) -> float:
        return result.rows_per_s / (1 + _WORTH_AN_INSTANCE * (result.trial.instances > 1))

    fastest = max(map(worth, results))
    return min((one for one in results if worth(one) >= (1 - _EQUAL) * fastest), key=lambda one: one.alone_ms)


def write_settings(path: Path, chosen: TrialResult, results: Sequence[TrialResult], heading: str) -> None:
    """Writes the choice with every figure into a settings file; whatever else stands in it stays.

    Raises:
        StorageError: the file cannot be read or written.
    """
    mark = "# shortlist tune:"
    lines = [f"{mark} {heading}"]
    lines += [f"{mark} {one.trial}: {one.rows_per_s:.0f} texts/s, one in {one.alone_ms:.1f} ms" for one in results]
    for name, value in chosen.trial.settings().items():
        lines.append(f"{name} = {json.dumps(value)}")
    try:
        old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        ours = re.compile(rf"({'|'.join(_KEYS)})\s*=")
        kept = [line for line in old if not line.startswith(mark) and not ours.match(line)]
        write_atomic(path, "\n".join([*lines, *kept]) + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{path} cannot be written: {error}; give another file with --config") from error
