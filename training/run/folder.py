"""Folder of a training run: its settings, the steps that are done and their records; survives a kill at any moment."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from safetensors import SafetensorError

from domain.durable import write_atomic
from domain.errors import NothingToLearnFrom, StorageError, TrainingRefused
from domain.model_folder import FORMAT, RUN, UNFINISHED, format_problem
from training.run.usage import UsageMeter

_LOCK_FILE = ".lock"


@dataclass
class StepRecord:
    """Record of a step that is done.

    Attributes:
        seconds: how long it took.
        key: digest of everything that it depends on; another key makes it run again.
        accepted: whether its part is used; None for a step that makes no part.
        metrics: measured on validation, by name; the first one is what a release compares.
        notes: sentences for people.
        cpu_seconds: processor time that it took, of all threads.
        peak_bytes: largest resident memory of the process while it ran.
        work_bytes: what that is above the memory at its beginning, at least 0.
        chosen: settings that it chose on validation, by name.
    """

    seconds: float
    key: str
    accepted: bool | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    work_bytes: int = 0
    chosen: dict[str, float | str | bool] = field(default_factory=dict)


class RunFolder:
    """The folder of one run. One process writes it at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, object] = {}
        self.steps: dict[str, StepRecord] = {}

    @contextmanager
    def open(self) -> Iterator["RunFolder"]:
        """Reads the folder, keeps other processes out, and turns a full disk into a clear message.

        Raises:
            TrainingRefused: another process trains into this folder, or it holds other files.
            StorageError: it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if any(self.path.iterdir()) and not (self.path / RUN).exists() and not (self.path / _LOCK_FILE).exists():
                raise TrainingRefused(f"{self.path} holds other files; give an empty folder, or one of an earlier run")
            with (self.path / _LOCK_FILE).open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise TrainingRefused(f"another process trains into {self.path}; wait for it or stop it") from None
                self._read()
                yield self
        except OSError as error:
            raise self._not_written(error.strerror or str(error)) from error
        except SafetensorError as error:  # it turns a full disk, and a damaged file, into an error of its own
            if "Error while serializing" not in str(error):
                raise
            raise self._not_written(str(error)) from error

    def _not_written(self, reason: str) -> StorageError:
        return StorageError(
            f"{self.path} could not be written: {reason}; make room and give the same command again: finished steps "
            "are kept"
        )

    def step(self, name: str, key: str, make: Callable[[Path], StepRecord], outputs: tuple[str, ...]) -> StepRecord:
        """Runs a step unless it is done with the same key.

        Args:
            name: of the step.
            key: digest of everything that the step depends on.
            make: writes the step's files into a folder and returns the record.
            outputs: the files and folders of the run that belong to this step; those not written are removed.
        """
        done = self.steps.get(name)
        if done is not None and done.key == key:
            return done
        work = self.path / f"{UNFINISHED}{name}"
        if (work / ".key").is_file() and (work / ".key").read_text() != key:
            shutil.rmtree(work)
        work.mkdir(exist_ok=True)
        (work / ".key").write_text(key)
        meter = UsageMeter()
        try:
            record = make(work)
        except NothingToLearnFrom:  # a later run could not continue from it either
            shutil.rmtree(work)
            raise
        usage = meter.read()
        record.key, record.seconds, record.cpu_seconds = key, usage.seconds, usage.cpu_seconds
        record.peak_bytes, record.work_bytes = usage.peak_bytes, usage.work_bytes
        self.steps.pop(name, None)
        self.write()
        for output in outputs:
            _replace(work / output, self.path / output)
        self.steps[name] = record
        self.write()
        shutil.rmtree(work)
        return record

    def drop_unfinished(self, wanted: Collection[str]) -> None:
        """Removes what interrupted steps left that are no longer wanted: the run is complete without them."""
        for work in self.path.glob(f"{UNFINISHED}*"):
            if work.name.removeprefix(UNFINISHED) not in wanted:
                shutil.rmtree(work)

    def forget(self, name: str, outputs: tuple[str, ...]) -> None:
        """Removes a step's record and files, which were made under other settings."""
        if self.steps.pop(name, None) is None:
            return
        self.write()
        for output in outputs:
            _remove(self.path / output)

    def record(self, facts: Mapping[str, object], settings: Mapping[str, object]) -> None:
        """Sets the run's facts and settings and writes run.json."""
        self.facts = {**facts, "settings": dict(settings)}
        self.write()

    def write(self) -> None:
        """Writes run.json, all of it or nothing."""
        steps = {name: asdict(record) for name, record in self.steps.items()}
        write_json(self.path / RUN, {"format": FORMAT, **self.facts, "steps": steps})

    def _read(self) -> None:
        path = self.path / RUN
        if not path.is_file():
            return
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            problem = format_problem(raw)
            if problem:
                raise TrainingRefused(f"{self.path} {problem}")
            del raw["format"]
            self.steps = {name: StepRecord(**record) for name, record in raw.pop("steps").items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TrainingRefused(
                f"{path} is damaged, or of another version ({error}); remove {self.path} and train again"
            ) from error
        self.facts = raw


def write_json(path: Path, value: object) -> None:
    """Writes JSON atomically: a reader, or a restart after a kill, sees the old file or the new one."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def digest(*parts: object) -> str:
    """Returns a short digest of JSON-able values and files, for keys of steps."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            with part.open("rb") as stream:
                total.update(hashlib.file_digest(stream, "sha256").digest())
        else:
            total.update(json.dumps(part, sort_keys=True, default=str).encode())
    return total.hexdigest()[:16]


def read_run(path: Path) -> Mapping[str, object]:
    """Reads the run.json of a model folder.

    Raises:
        TrainingRefused: there is none, or it is damaged.
    """
    try:
        raw: dict[str, object] = json.loads((path / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingRefused(
            f"{path} is not a model folder: {RUN}: {error}; shortlist train --out makes one"
        ) from error
    problem = format_problem(raw) if isinstance(raw, dict) else "holds a damaged run.json; train again"
    if problem:
        raise TrainingRefused(f"{path} {problem}")
    return raw


def _replace(source: Path, target: Path) -> None:
    """Puts a step's output in place of the earlier one."""
    _remove(target)
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
