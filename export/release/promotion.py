"""The promotion gate: whether a trained model may replace the current release."""

from dataclasses import dataclass
from pathlib import Path

from domain import release_folder as layout
from domain.errors import ReleaseRejected
from domain.progress import Progress
from export.parts.model_folder import ModelFolder
from export.parts.quality import Quality, read_quality, unlike, worse_metrics


@dataclass(frozen=True)
class Verdict:
    """Result of the gate.

    Attributes:
        parents: id of the current release; empty where there is none.
        comparison: the comparison in words, or why there is none; empty without a current release.
    """

    parents: tuple[str, ...] = ()
    comparison: str = ""


def check_against_current(releases: Path, model: ModelFolder, accept_worse: bool, progress: Progress) -> Verdict:
    """Holds a model against the current release.

    Metrics of the same data are compared as they are. For other data, such as newer events, the comparison counts that
    `shortlist train --against` made on the model's own validation part.

    Args:
        releases: folder of releases.
        model: the trained model.
        accept_worse: whether a worse or uncompared model is taken.
        progress: hears of the comparison.

    Raises:
        ReleaseRejected: the model is worse, or was not compared although that is possible, and `accept_worse` is off.
        ModelNotUsable: the current release's quality.json cannot be read.
    """
    current = layout.current_release_id(releases)
    if current is None:
        return Verdict()
    verdict, refusal = _compared(releases / current, current, model)
    if refusal and not accept_worse:
        raise ReleaseRejected(refusal)
    progress.step(f"accepted all the same: {verdict}" if refusal else verdict)
    return Verdict((current,), verdict)


def _compared(path: Path, current: str, model: ModelFolder) -> tuple[str, str]:
    """Returns the comparison in words, and why the model is refused; empty where it is not."""
    quality = model.quality
    if not (path / layout.QUALITY).is_file():
        return f"not compared with the release {current}: it has no trained parts", ""
    if quality is None:
        return f"not compared with the release {current}: {model.path} has no metrics", ""
    before = read_quality(path / layout.QUALITY)
    difference = unlike(quality, before)
    if not difference:
        return _by_metrics(current, model, quality, before)
    against = quality.against
    if against is not None and against.release_id == current:
        words = against.words()
        refusal = (
            f"{model.path} is worse than the current release: {words}. Train further, or give --accept-worse"
            if against.worse
            else ""
        )
        return words, refusal
    if model.run.get("split") is None:
        return f"not compared with the release {current}: {model.path} was trained without interactions", ""
    words = f"not compared with the release {current}: {difference}"
    return words, (
        f"{model.path} was {words}. Give the same `shortlist train` again with --against {path}: finished steps are "
        "kept, and both are evaluated on the new validation part. Or give --accept-worse"
    )


def _by_metrics(current: str, model: ModelFolder, quality: Quality, before: Quality) -> tuple[str, str]:
    worse = "; ".join(worse_metrics(quality, before))
    if not worse:
        return f"no worse than the release {current} in any metric of the same validation part", ""
    return f"worse than the release {current} on the same validation part: {worse}", (
        f"{model.path} is worse than the current release {current} ({quality.protocol}, validation): {worse}. Train "
        "further, or give --accept-worse"
    )
