"""Model card of a release: data, training, metrics and limits."""

from collections.abc import Iterator, Mapping

from domain.manifest import FLOAT32, Manifest
from export.parts.model_folder import ModelFolder

_LIMITS = """\
- Figures are of the data named above, measured offline: what people chose, not whether they were glad of it. Another
  catalogue, country or season gives others.
- Who chose little, and what few chose, is served worse. An item that training never saw is found by its text alone.
- A language that the encoder cannot read is matched by shared words only; the reply says so.
- What people chose before decides what is shown next, so popular items grow more popular. Watch coverage and novelty
  in the evaluation report.
"""
_USES = """\
For people who run a catalogue and recommend its items to those who use it. It has learned from the behaviour of people
and may reflect their gender, age or origin even where nobody named them. It is not made for decisions about people
(credit, work, housing, health, law), and shouldn't be used for them. Interactions that went into training are personal
data in many countries; whoever trains and serves answers for that.
"""


def model_card(manifest: Manifest, model: ModelFolder | None, comparison: str = "") -> str:
    """Returns the card as Markdown.

    Args:
        manifest: of the release.
        model: None where nothing was trained; then the encoder came as it is.
        comparison: with the release that it replaces, in words; empty where it replaces none.
    """
    lines = [f"# Model card: release {manifest.release_id}", ""]
    lines += ["Made by `shortlist release build`. What each part is stands in docs/concepts.md.", ""]
    lines += ["## What is in it", "", *_parts(manifest), ""]
    lines += ["## Data", "", *_data(manifest, model), ""]
    if model is not None:
        lines += ["## Training", "", *_training(model), ""]
    lines += ["## Figures", "", *_metrics(manifest, model, comparison), ""]
    lines += ["## Limits", "", _LIMITS, "## Who may use it, and for what", "", _USES]
    return "\n".join(lines)


def _parts(manifest: Manifest) -> Iterator[str]:
    encoder = manifest.encoder
    yield f"- encoder {encoder.name}: {manifest.dimension} dimensions, {encoder.max_tokens} tokens"
    yield f"- its family: {encoder.family}, {encoder.pooling} pooling, {encoder.precision}"
    yield f"- languages it reads: {', '.join(encoder.languages) or 'its model card does not say'}"
    for what, prompt in (("what users say", encoder.query_prompt), ("items' texts", encoder.passage_prompt)):
        if prompt:
            yield f'- put before {what}: "{prompt}"'
    other = "torch" if encoder.precision == FLOAT32 else FLOAT32
    yield f"- its worst cosine to {other}: {encoder.parity_worst_cosine:.7f}"
    for name, entry in manifest.models.items():
        yield f"- {name.replace('_', ' ')}: largest difference to torch {entry.parity_worst_difference:.1e}"
    for source, alpha in manifest.thresholds.items():
        yield f"- least score in the recall source {source}: {alpha:.4g}"
    files = manifest.files
    for name, what in (
        ("neighbours.npz", "each item's neighbours, for collaborative recall"),
        ("item_transitions.npz", "what is often chosen soon after each item"),
        ("popularity.npy", "how often each item was chosen"),
        ("student/student.json", "a static student that answers for the encoder while Triton is away"),
        ("aspects.json", "what reviews say of the items"),
    ):
        if name in files:
            yield f"- {name}: {what}"


def _data(manifest: Manifest, model: ModelFolder | None) -> Iterator[str]:
    yield f"- {manifest.item_count:,} items, of which {manifest.available_count:,} may be recommended"
    yield f"- {manifest.text.unknown_token_share:.2%} of their tokens are unknown to the encoder"
    if manifest.text.unreadable_item_count:
        yield f"- {manifest.text.unreadable_item_count:,} items' texts are in letters that the encoder cannot read"
    if manifest.text.foreign_item_count:
        yield f"- {manifest.text.foreign_item_count:,} items' texts are in a language that the encoder does not read"
    if manifest.pinyin:
        yield "- Chinese titles and values are found by their pinyin too"
    for name, value in _numbers("", {} if model is None else model.data):
        yield f"- {name}: {value}"


def _training(model: ModelFolder) -> Iterator[str]:
    run = model.run
    for name in ("seed", "device", "started", "seconds", "versions"):
        if name in run:
            yield f"- {name}: {run[name]}"
    steps = run.get("steps")
    if isinstance(steps, dict):
        yield from ("", "| step | seconds | kept |", "|---|---|---|")
        for name, record in steps.items():
            if isinstance(record, dict):
                kept = {True: "yes", False: "no", None: ""}.get(record.get("accepted"), "")
                yield f"| {name} | {record.get('seconds', 0):.0f} | {kept} |"
    settings = run.get("settings")
    if isinstance(settings, dict):
        yield from ("", "Settings:", "")
        for name, value in _numbers("", settings):
            yield f"- {name} = {value}"


def _metrics(manifest: Manifest, model: ModelFolder | None, comparison: str) -> Iterator[str]:
    yield f"- recall@10 of the graph against exact search: {manifest.graph.recall_at_10:.4f}"
    if comparison:
        yield f"- compared with the release before: {comparison}"
    if not manifest.quality:
        yield "- No figures of recommendations came with it: `shortlist evaluate` measures them."
        return
    yield from (
        "",
        f"Validation, protocol {manifest.quality_protocol or 'unnamed'}:",
        "",
        "| figure | value | interval |",
    )
    yield "|---|---|---|"
    intervals = {} if model is None or model.quality is None else model.quality.intervals
    for name, value in sorted(manifest.quality.items()):
        low_high = intervals.get(name)
        yield f"| {name} | {value:.4f} | {f'{low_high[0]:.4f} to {low_high[1]:.4f}' if low_high else ''} |"


def _numbers(prefix: str, value: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yields the plain values of a nested mapping, names joined by dots; long lists are left out."""
    for name, inner in value.items():
        path = f"{prefix}.{name}" if prefix else str(name)
        if isinstance(inner, Mapping):
            yield from _numbers(path, inner)
        elif isinstance(inner, str | int | float | bool):
            yield path, inner
