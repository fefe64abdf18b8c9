"""A release as people read it on a terminal."""

from typing import TYPE_CHECKING

from cli.terminal.output import is_piped, print_facts
from domain.manifest import FLOAT32
from domain.release_folder import MAPPED_GRAPH

if TYPE_CHECKING:
    from rich.console import Console

    from domain.manifest import Manifest
    from domain.release_folder import ReleaseFolder


def print_release(release: "ReleaseFolder", console: "Console") -> None:
    """Prints a release as a table of its facts."""
    from rich.markup import escape
    from rich.table import Table

    manifest = release.manifest
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    size = sum(entry.size_bytes for entry in manifest.files.values())
    rows = (
        ("release", manifest.release_id),
        ("folder", str(release.path)),
        ("created", manifest.created),
        ("items", f"{manifest.item_count:,}, of which {manifest.available_count:,} available"),
        ("encoder", f"{manifest.encoder.name}, {manifest.dimension} dimensions, {manifest.encoder.max_tokens} tokens"),
        *_reading_rows(manifest),
        ("text", " + ".join(("title", *manifest.template.item_attributes, "text"))),
        ("unknown tokens", f"{manifest.text.unknown_token_share:.2%} of the items' tokens"),
        ("cut texts", f"{manifest.text.truncated_item_count:,} items are longer than the encoder takes"),
        ("indistinct", f"{manifest.text.indistinct_item_count:,} items look like another one to the encoder"),
        ("unreadable", f"{manifest.text.unreadable_item_count:,} items are found by shared words only"),
        ("foreign", f"{manifest.text.foreign_item_count:,} items are in a language that the encoder does not read"),
        *([("pinyin", "finds Chinese titles and values")] if manifest.pinyin else []),
        ("graph", _graph(manifest)),
        ("parity", f"worst cosine to {_compared_with(manifest)}"),
        *_learned_rows(manifest),
        ("size", f"{size / 1e6:,.1f} MB in {len(manifest.files)} files"),
    )
    if is_piped():
        print_facts(rows)
        return
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)


def _reading_rows(manifest: "Manifest") -> list[tuple[str, str]]:
    """Says how the encoder makes a vector of a text."""
    encoder = manifest.encoder
    precision = "" if encoder.precision == FLOAT32 else f", {encoder.precision}"
    rows = [("family", f"{encoder.family}, {encoder.pooling} pooling{precision}")]
    rows.append(("languages", ", ".join(encoder.languages) or "unknown; no text is flagged for its language"))
    for name, prompt in (("query prompt", encoder.query_prompt), ("passage prompt", encoder.passage_prompt)):
        rows += [(name, f'"{prompt}"')] if prompt else []
    return rows


def _graph(manifest: "Manifest") -> str:
    mapped = ", mapped from its file" if MAPPED_GRAPH in manifest.files else ""
    return f"recall@10 {manifest.graph.recall_at_10:.4f} at ef {manifest.graph.ef_search}{mapped}"


def _compared_with(manifest: "Manifest") -> str:
    other = "torch" if manifest.encoder.precision == FLOAT32 else FLOAT32
    return f"{other} {manifest.encoder.parity_worst_cosine:.7f}"


def _learned_rows(manifest: "Manifest") -> list[tuple[str, str]]:
    """Says which parts were trained, their thresholds, and the figures they were accepted with."""
    from core.retrieval.registry import TABLE_SOURCES
    from domain import release_folder as layout

    files = {source.file: name.replace("_", " ") for name, source in TABLE_SOURCES.items()}
    names = [title for file, title in {**files, layout.ASPECTS: "aspects"}.items() if file in manifest.files]
    names += ["student"] if any(name.startswith(f"{layout.STUDENT}/") for name in manifest.files) else []
    rows = [("tables", ", ".join(names))] if names else []
    for name, model in manifest.models.items():
        parity = f"largest difference to torch {model.parity_worst_difference:.1e}"
        rows.append((name.replace("_", " "), f"{model.input_width} -> {model.output_width} numbers, {parity}"))
    if manifest.thresholds:
        rows.append(("alpha", ", ".join(f"{source} {alpha:.4g}" for source, alpha in manifest.thresholds.items())))
    for name, value in sorted(manifest.quality.items()):
        rows.append((name, f"{value:.4f}, {manifest.quality_protocol or 'validation, protocol unnamed'}"))
    return rows
