"""Sentence-transformers folders as this project writes them: transformer, pooling, token bag, head, unit length."""

import json
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

from domain.errors import EncoderNotUsable
from domain.prompts import Prompts, read_prompts
from training.encoder.token_bag import TokenBag

_MODULES_FILE = "modules.json"
# The names that sentence-transformers itself looks for.
_QUERY, _PASSAGE = "query", "document"
# By the last part of a type's name, so that older and newer libraries' folders read alike. No other code is run.
_MODULES = {kind.__name__: kind for kind in (Transformer, Pooling, Normalize, Dense, TokenBag)}


def load_encoder(folder: Path) -> SentenceTransformer:
    """Returns the encoder of a folder, of sentence-transformers or plain transformers, on the best device.

    It encodes texts as passages: with the folder's prompt for them, where it names one.

    Raises:
        EncoderNotUsable: a file is missing or unreadable, or a module is of an unknown kind.
    """
    tokenizer_file(folder)
    try:
        if not (folder / _MODULES_FILE).is_file():
            transformer = Transformer(str(folder), model_kwargs={"local_files_only": True})
            pooling = Pooling(transformer.get_embedding_dimension(), "mean")
            return with_prompts([transformer, pooling, Normalize()], read_prompts(folder))
        entries = json.loads((folder / _MODULES_FILE).read_text(encoding="utf-8"))
        return with_prompts([_module(folder, entry) for entry in entries], read_prompts(folder))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EncoderNotUsable(f"{folder} cannot be loaded: {reason}; give a sentence-transformers folder") from error


def tokenizer_file(folder: Path) -> Path:
    """Returns where an encoder folder keeps its tokenizer.json.

    Raises:
        EncoderNotUsable: it has none.
    """
    for path in (folder / "tokenizer.json", *sorted(folder.glob("*/tokenizer.json"))):
        if path.is_file():
            return path
    raise EncoderNotUsable(
        f"{folder} has no tokenizer.json, without which no text can be read; save the encoder with its fast tokenizer"
    )


def with_prompts(modules: list[torch.nn.Module], prompts: Prompts, device: str | None = None) -> SentenceTransformer:
    """Returns an encoder that puts the passage prompt before every text, unless another is passed.

    Its saved folder names both prompts as sentence-transformers does.
    """
    _pad_right(modules)
    named = {_QUERY: prompts.query, _PASSAGE: prompts.passage}
    default = _PASSAGE if prompts.passage else None
    return SentenceTransformer(modules=modules, prompts=named, default_prompt_name=default, device=device)


def _pad_right(modules: list[torch.nn.Module]) -> None:
    """Sets padding as in export and gateway. A model without a padding token (GPT-2) pads with its end token."""
    for transformer in (module for module in modules if isinstance(module, Transformer)):
        tokenizer = transformer.tokenizer
        tokenizer.padding_side = "right"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)


def prompts_of(model: SentenceTransformer) -> Prompts:
    """Returns the prompts of an encoder that `load_encoder` gave."""
    return Prompts(model.prompts.get(_QUERY) or "", model.prompts.get(_PASSAGE) or "")


def rebuilt(model: SentenceTransformer, modules: list[torch.nn.Module]) -> SentenceTransformer:
    """Returns other modules as an encoder with this one's prompts, on its device."""
    return with_prompts(modules, prompts_of(model), str(model.device))


def base_modules(model: SentenceTransformer) -> list[torch.nn.Module]:
    """Returns transformer, pooling and normalisation, without a head."""
    transformer = next(module for module in model if isinstance(module, Transformer))
    pooling = next((module for module in model if isinstance(module, Pooling)), None)
    return [transformer, pooling or Pooling(transformer.get_embedding_dimension(), "mean"), Normalize()]


def _module(folder: Path, entry: dict[str, str]) -> torch.nn.Module:
    kind = _MODULES.get(str(entry["type"]).rpartition(".")[2])
    if kind is None:
        raise EncoderNotUsable(
            f"{folder / _MODULES_FILE} names a module {entry['type']}; supported: {', '.join(_MODULES)}"
        )
    path = entry.get("path", "")
    if kind is Normalize and not (folder / path / "config.json").is_file():
        return Normalize()
    return kind.load(str(folder), subfolder=path, local_files_only=True)
