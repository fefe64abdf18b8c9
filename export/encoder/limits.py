"""Limits of an encoder's tokenizer and positions: padding id, longest text, room for a prompt."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from domain.errors import EncoderNotUsable
from domain.prompts import Prompts
from export.encoder.families import Family
from export.encoder.modules import CONFIG_FILE, TOKENIZER_FILE, EncoderModules, positive, read_json

DEFAULT_MAX_TOKENS = 256
# Positions that don't end (T5) end here: a length that nobody serves, and some tokenizers' files say 10^30.
_LONGEST_TOKENS = 32_768
_FEWEST_TOKENS = 3  # a start token, one of the text, an end token
_PROMPT_SHARE = 0.5  # of an encoder's tokens
# What a folder has whose tokenizer.json was never written, and whether the library that writes it needs another.
_OTHER_TOKENIZERS = ("vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")


def read_tokenizer(folder: Path, config: dict[str, Any]) -> Tokenizer:
    """Returns the tokenizer, once it is known to match the model.

    Raises:
        EncoderNotUsable: it is missing, broken, another model's, or needs lower case that it doesn't make.
    """
    path = folder / TOKENIZER_FILE
    if not path.is_file():
        other = next((name for name in _OTHER_TOKENIZERS if (folder / name).is_file()), "")
        having = f"The folder has a {other}" if other else "If the folder has a vocab.txt or a sentencepiece model"
        raise EncoderNotUsable(
            f"{path} is missing. {having}: this writes it: "
            f"transformers.AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises Exception itself
        raise EncoderNotUsable(f"{path} can't be read: {error}; save or fetch the encoder again") from error
    vocabulary_size = positive(config, "vocab_size", folder / CONFIG_FILE)
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
    if largest >= vocabulary_size:
        raise EncoderNotUsable(
            f"{path} has token id {largest}, but the model knows {vocabulary_size}; they don't belong together"
        )
    for st_config in sorted(folder.glob("sentence_*_config.json")):
        lowers = tokenizer.normalizer is not None and tokenizer.normalizer.normalize_str("A") == "a"
        if read_json(st_config, dict).get("do_lower_case") and not lowers:
            raise EncoderNotUsable(
                f"{st_config} asks for lower case outside the tokenizer; supported: a tokenizer.json that does it"
            )
    return tokenizer


def pad_token_id(family: Family, config: dict[str, Any], tokenizer: Tokenizer) -> int:
    """Returns the id that fills rows. Where there is none (GPT-2) any will do, since it is masked: the end's, or 0."""
    padding = (tokenizer.padding or {}).get("pad_id")
    for candidate in (config.get("pad_token_id"), family.pad_token_id, padding, config.get("eos_token_id")):
        if isinstance(candidate, int) and 0 <= candidate < config["vocab_size"]:
            return candidate
    return 0


def position_count(family: Family, config: dict[str, Any], pad_id: int, folder: Path) -> int:
    """Returns how many tokens have a position.

    Raises:
        EncoderNotUsable: config.json doesn't say.
    """
    if not family.positions_key:
        return _LONGEST_TOKENS
    count = positive(config, family.positions_key, folder / CONFIG_FILE)
    return count - (pad_id + 1 if family.first_position is None else family.first_position)


def longest_text(modules: EncoderModules, positions: int, wanted: int | None) -> int:
    """Returns where texts are cut, in tokens.

    That is what was asked for; else the encoder's own limit, at most what it has positions for; else 256. Its own is
    max_seq_length, which newer versions of sentence-transformers keep as the tokenizer's length instead. In a plain
    folder the tokenizer's length says what fits, not what it was trained for: it only lowers the default.

    Raises:
        EncoderNotUsable: more was asked for than it has positions for, or it is too short for any text.
    """
    folder = modules.folder
    if wanted is not None:
        if not _FEWEST_TOKENS <= wanted <= positions:
            raise EncoderNotUsable(
                f"{folder} can't take {wanted} tokens: it has positions for {positions}; ask for --max-tokens from "
                f"{_FEWEST_TOKENS} to {positions}"
            )
        return wanted
    own = None
    for path in sorted(folder.glob("sentence_*_config.json")):
        own = own or _whole(read_json(path, dict).get("max_seq_length"))
    fitting = None
    if (folder / "tokenizer_config.json").is_file():
        fitting = _whole(read_json(folder / "tokenizer_config.json", dict).get("model_max_length"))
    if own is None and fitting is not None and fitting <= positions and modules.listed:
        own = fitting
    candidate = min(own or min(DEFAULT_MAX_TOKENS, fitting or DEFAULT_MAX_TOKENS), positions)
    if candidate < _FEWEST_TOKENS:
        raise EncoderNotUsable(f"{folder} takes {candidate} tokens at most; expected at least {_FEWEST_TOKENS}")
    return candidate


def check_prompts(prompts: Prompts, tokenizer: Tokenizer, max_tokens: int) -> None:
    """Checks that prompts leave room for a text.

    Raises:
        EncoderNotUsable: one doesn't.
    """
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for name, prompt in (("query", prompts.query), ("passage", prompts.passage)):
        count = len(tokenizer.encode(prompt).ids) if prompt else 0
        if count > _PROMPT_SHARE * max_tokens:
            raise EncoderNotUsable(
                f"the {name} prompt takes {count} of the encoder's {max_tokens} tokens; expected at most "
                f"{int(_PROMPT_SHARE * max_tokens)}, so that a text has room"
            )


def _whole(value: Any) -> int | None:  # noqa: ANN401 - from a file
    return int(value) if isinstance(value, int | float) and value >= 1 else None
