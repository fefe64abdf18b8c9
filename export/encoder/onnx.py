"""Export of a text encoder as one ONNX file: token ids in, unit vectors out; the graph pools and normalises."""

import contextlib
import hashlib
import logging
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
import transformers

from domain.durable import sync_file
from domain.errors import EncoderNotUsable, StorageError
from export.encoder.families import FAMILIES
from export.encoder.head_layers import Head
from export.encoder.source import EncoderSource

OPSET = 20
INPUT_NAMES = ("input_ids", "attention_mask")
# No inner node may carry the output's name, or the file is invalid: "embedding" is one, this is none.
OUTPUT_NAME = "sentence_embedding"

_LARGEST_FILE_BYTES = 2**31 - 2**24  # a protobuf message ends at 2 GiB; leave room for the graph
# Plain MatMul and Softmax. SDPA exports to 70 more nodes (guards against rows that are masked out altogether), which
# cost ONNX Runtime 2 to 6 % at 16 tokens and 40 % at 32 x 256.
_EXPORTED_ATTENTION = "eager"


@dataclass(frozen=True)
class OnnxExport:
    """An exported encoder: input_ids int64[B,L], attention_mask int64[B,L] -> sentence_embedding float32[B,d], unit.

    Attributes:
        path: the ONNX file, weights inside.
        sha256: its hexadecimal digest; the same encoder and library versions give the same bytes.
        size_bytes: its size.
        dimension: d, the width of its vectors.
        opset: version of the ONNX operator set.
        seconds: how long the export took.
    """

    path: Path
    sha256: str
    size_bytes: int
    dimension: int
    opset: int
    seconds: float


class _SentenceEncoder(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Transformer, pooling over the unmasked tokens, head, unit length."""

    def __init__(self, transformer: Any, pooling: str, head: Head) -> None:  # noqa: ANN401
        super().__init__()
        self.transformer = transformer
        self.pooling = pooling
        self.head = head

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:  # noqa: ANN401
        """Maps int64[B,L], int64[B,L] to float32[B,d]."""
        states = self.transformer(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        pooled = pool(states, attention_mask, self.pooling)
        return torch.nn.functional.normalize(self.head(pooled, input_ids, attention_mask), p=2.0, dim=1)


def pool(states: Any, attention_mask: Any, pooling: str) -> Any:  # noqa: ANN401
    """Makes one vector of a text's tokens.

    Args:
        states: float32[B,L,d], the tokens' vectors.
        attention_mask: int64[B,L], 1 for a token; padding stands on the right.
        pooling: "mean", "cls" (the first token) or "last" (the last one that isn't padding).

    Returns:
        float32[B,d].
    """
    if pooling == "cls":
        return states[:, 0]
    if pooling == "last":
        # By the mask's last 1, not by its sum; a row without any takes the first, which serving never sends.
        places = torch.arange(states.shape[1], device=states.device)
        last = (places * attention_mask).amax(dim=1)
        return states.gather(1, last.reshape(-1, 1, 1).expand(-1, 1, states.shape[2])).squeeze(1)
    weights = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)


def export_onnx(source: EncoderSource, out: Path) -> OnnxExport:
    """Writes the encoder as ONNX, dynamic in batch and length. Blocking, uses every core; nothing is printed.

    Args:
        source: the encoder.
        out: the file to write; it appears complete or not at all.

    Raises:
        EncoderNotUsable: the weights can't be read, don't fit the family, are too large for one file, or don't export.
        StorageError: `out` can't be written.
    """
    started = time.monotonic()
    with _quiet():
        # eval() on the wrapper: the exporter puts its mode back recursively, and dropout with it.
        transformer = load_transformer(source, attention=_EXPORTED_ATTENTION)
        encoder = _SentenceEncoder(transformer, source.pooling, Head(source.head)).eval()
        size_bytes = sum(p.numel() * p.element_size() for p in [*encoder.parameters(), *encoder.buffers()])
        if size_bytes > _LARGEST_FILE_BYTES:
            raise EncoderNotUsable(
                f"{source.name} has {size_bytes / 2**30:.1f} GiB of weights; a single ONNX file holds less than 2 GiB"
            )
        model = _translate(encoder, source)
    strip_metadata(model)
    payload = model.SerializeToString(deterministic=True)
    _write(out, payload)
    return OnnxExport(
        path=out,
        sha256=hashlib.sha256(payload).hexdigest(),
        size_bytes=len(payload),
        dimension=source.dimension,
        opset=OPSET,
        seconds=time.monotonic() - started,
    )


def load_transformer(source: EncoderSource, *, attention: str) -> Any:  # noqa: ANN401
    """Returns the float32 transformers model on the CPU, in evaluation mode.

    Args:
        source: the encoder.
        attention: the implementation by transformers' name: "eager" or "sdpa".

    Raises:
        EncoderNotUsable: the weights can't be read, or some that the vectors depend on are missing.
    """
    with _quiet():
        try:
            model_class = getattr(transformers, FAMILIES[source.family].model_class)
            model, info = model_class.from_pretrained(
                str(source.folder),
                attn_implementation=attention,
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
        except Exception as error:  # transformers, safetensors and torch each raise their own
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise EncoderNotUsable(f"{source.folder} can't be loaded: {reason[0]}; fetch the encoder again") from error
    # transformers fills what is missing with random numbers and goes on. The pooler's output isn't used.
    missing = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise EncoderNotUsable(
            f"{source.folder} lacks {len(missing)} of the weights of a {source.family} ({missing[0]}, ...); "
            f"it is no {source.family} encoder, or incomplete"
        )
    return model.eval()


def strip_metadata(model: onnx.ModelProto) -> None:
    """Drops stack traces, class names and doc strings in place: they hold paths of the machine and change the bytes."""
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        described = [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
        for part in described:
            part.ClearField("metadata_props")
            part.ClearField("doc_string")
        for node in graph.node:
            for attribute in node.attribute:
                attribute.ClearField("doc_string")
                graphs += [attribute.g] if attribute.HasField("g") else []
                graphs += attribute.graphs


def _translate(encoder: _SentenceEncoder, source: EncoderSource) -> onnx.ModelProto:
    # Two rows of unequal length: a batch without padding would let the exporter drop the mask.
    length = min(12, source.max_tokens)
    ids = torch.full((2, length), source.pad_token_id, dtype=torch.int64)
    ids[0, :], ids[1, : length - 1] = 1, 1
    mask = torch.ones((2, length), dtype=torch.int64)
    mask[1, length - 1] = 0
    axes = {0: torch.export.Dim("batch", min=1, max=4096), 1: torch.export.Dim("length", min=1, max=source.max_tokens)}
    try:
        program = torch.onnx.export(
            encoder,
            (ids, mask),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            input_names=list(INPUT_NAMES),
            output_names=[OUTPUT_NAME],
            dynamic_shapes=dict.fromkeys(INPUT_NAMES, axes),
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        reason = str(error).strip().splitlines()[0]
        raise EncoderNotUsable(
            f"{source.name} can't be turned into ONNX by torch {torch.__version__}: {reason}"
        ) from error
    return program.model_proto


def _write(path: Path, payload: bytes) -> None:
    try:
        path.write_bytes(payload)
        sync_file(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise StorageError(
            f"the ONNX file ({len(payload) / 1e6:.0f} MB) can't be written to {path.parent}: {error.strerror}; "
            f"free some space or give another folder"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the libraries' warnings and bars, which are about their own insides; errors are raised."""
    disabled = logging.root.manager.disable
    bars = transformers.utils.logging.is_progress_bar_enabled()
    logging.disable(logging.WARNING)
    transformers.utils.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        if bars:
            transformers.utils.logging.enable_progress_bar()
