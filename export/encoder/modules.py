"""Settings of a sentence-transformers folder besides weights: pooling, head, length and prompts."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import EncoderNotUsable

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "model.safetensors"
MODULES_FILE = "modules.json"
WANTED = f"give a folder with {CONFIG_FILE}, {TOKENIZER_FILE} and {WEIGHTS_FILE}"

POOLINGS = ("mean", "cls", "last")
# By the names that sentence-transformers has given them, before version 5 and since.
_POOLING_NAMES = {"mean": "mean", "mean_tokens": "mean", "cls": "cls", "cls_token": "cls", "lasttoken": "last"}
_HEAD_MODULES = ("Normalize", "Dense", "TokenBag")


@dataclass(frozen=True)
class EncoderModules:
    """Contents of a sentence-transformers folder.

    Attributes:
        folder: the transformer's.
        pooling: of `POOLINGS`; None where the folder does not say.
        pools_prompt: whether a prompt's tokens are pooled with the text's.
        head: kind and folder of each module after the pooling.
        listed: whether there is a modules.json, so that the folder is of sentence-transformers.
    """

    folder: Path
    pooling: str | None = None
    pools_prompt: bool = True
    head: tuple[tuple[str, Path], ...] = ()
    listed: bool = False


def read_modules(root: Path) -> EncoderModules:
    """Reads modules.json and the pooling's description; a plain folder says nothing of either.

    Raises:
        EncoderNotUsable: a file is broken, or names a module or a pooling that isn't supported.
    """
    if not (root / MODULES_FILE).is_file():
        return EncoderModules(root)
    folder, pooling, pools_prompt = root, None, True
    head: list[tuple[str, Path]] = []
    for module in read_json(root / MODULES_FILE, list):
        if not isinstance(module, dict):
            raise EncoderNotUsable(f"{root / MODULES_FILE} has an entry that is no module; fetch the encoder again")
        kind = str(module.get("type", "")).rpartition(".")[2]
        path = root / str(module.get("path", ""))
        if kind == "Transformer":
            folder = path
        elif kind == "Pooling":
            pooling, pools_prompt = _read_pooling(path / CONFIG_FILE)
        elif kind in _HEAD_MODULES:
            head.append((kind, path))
        else:
            raise EncoderNotUsable(
                f"{root / MODULES_FILE} has a module {kind!r}; supported: Transformer, Pooling "
                f"({', '.join(POOLINGS)}), {', '.join(_HEAD_MODULES)}"
            )
    return EncoderModules(folder, pooling, pools_prompt, tuple(head), listed=True)


def check_pooling(name: str) -> str:
    """Returns the name of a pooling as it was given.

    Raises:
        EncoderNotUsable: there is none of that name.
    """
    if name not in POOLINGS:
        raise EncoderNotUsable(f"there is no pooling {name!r}; supported: {', '.join(POOLINGS)}")
    return name


def _read_pooling(path: Path) -> tuple[str, bool]:
    config = read_json(path, dict)
    modes = config.get("pooling_mode")  # sentence-transformers 5.x writes a name or names, before that one flag each
    if modes is None:
        modes = [
            key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on
        ]
    modes = [modes] if isinstance(modes, str) else list(modes) or ["mean"]
    name_of_mode = _POOLING_NAMES.get(str(modes[0])) if len(modes) == 1 else None
    if name_of_mode is None:
        raise EncoderNotUsable(
            f"{path} pools by {' and '.join(map(str, modes))}; supported: one of {', '.join(POOLINGS)}"
        )
    return name_of_mode, config.get("include_prompt", True) is not False


def read_json(path: Path, shape: type) -> Any:  # noqa: ANN401 - somebody else's files, looked at key by key
    """Returns what a JSON file holds.

    Raises:
        EncoderNotUsable: it is missing, broken, or holds something else than `shape`.
    """
    if not path.is_file():
        raise EncoderNotUsable(f"{path} is missing; {WANTED}")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderNotUsable(f"{path} can't be read: {error}; save or fetch the encoder again") from error
    if not isinstance(value, shape):
        raise EncoderNotUsable(f"{path} holds a {type(value).__name__}, expected a {shape.__name__}; fetch it again")
    return value


def positive(config: dict[str, Any], key: str, path: Path) -> int:
    """Returns a whole number above 0 from a config.

    Raises:
        EncoderNotUsable: it is missing or something else.
    """
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise EncoderNotUsable(f"{path} has {key} {value!r}; expected a whole number above 0")
    return value
