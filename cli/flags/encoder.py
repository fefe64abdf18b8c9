"""Flags of `shortlist export` and `shortlist release build` that override the encoder folder's settings."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.encoder.source import EncoderChoice

_POOLINGS = "mean, cls (the first token) or last"


def add_encoder_flags(parser: argparse.ArgumentParser) -> None:
    """Declares pooling, head, prompts and the longest text; what is left out, the encoder's folder says."""
    group = parser.add_argument_group("the encoder", "what its folder says holds where nothing is given")
    group.add_argument("--pooling", metavar="NAME", help=f"how token vectors become one: {_POOLINGS}")
    group.add_argument(
        "--query-prompt", metavar="TEXT", help="put before what users say, for example \"query: \"; '' for none"
    )
    group.add_argument(
        "--passage-prompt", metavar="TEXT", help="put before the items' texts, for example \"passage: \"; '' for none"
    )
    group.add_argument(
        "--head",
        metavar="DIR,DIR",
        help="folders of Dense modules (config.json, model.safetensors) after the pooling, in order; '' for none",
    )
    add_languages_flag(group)
    group.add_argument(
        "--dimensions",
        type=int,
        metavar="N",
        help="keep the first N components of a vector, of an encoder that was trained for it (Matryoshka)",
    )
    group.add_argument("--max-tokens", type=int, metavar="N", help="where texts are cut, special tokens included")


def add_languages_flag(group: argparse._ActionsContainer) -> None:
    """Declares the languages that the encoder reads."""
    group.add_argument(
        "--encoder-languages",
        metavar="TAG,TAG",
        help="languages that it reads, for example en,zh; texts in others are flagged and matched by their words "
        "(default: what its model card says; '' for unknown)",
    )


def encoder_languages(args: argparse.Namespace) -> tuple[str, ...] | None:
    """Returns the tags that were given, None without any.

    Raises:
        EncoderNotUsable: something else than tags of languages was given.
    """
    from domain.errors import EncoderNotUsable
    from domain.language_tags import primary_tags

    if args.encoder_languages is None:
        return None
    words = [word for word in args.encoder_languages.split(",") if word.strip()]
    tags = primary_tags(words)
    if words and not tags:
        raise EncoderNotUsable(
            f"--encoder-languages {args.encoder_languages}: not a list of language tags; give tags such as en,zh"
        )
    return tags


def check_with_model(args: argparse.Namespace) -> None:
    """Refuses what would give items other vectors than those that a model was trained on.

    Raises:
        ModelNotUsable: such a flag was given beside --model.
    """
    from domain.errors import ModelNotUsable

    flags = {"--pooling": args.pooling, "--head": args.head, "--passage-prompt": args.passage_prompt}
    flags["--dimensions"] = args.dimensions
    used = [flag for flag, value in flags.items() if value is not None]
    if args.model is not None and used:
        raise ModelNotUsable(
            f"{' and '.join(used)} would give the items other vectors than {args.model} was trained on; write it into "
            "the encoder's folder (modules.json, config_sentence_transformers.json) and train with that"
        )


def encoder_choice(args: argparse.Namespace) -> "EncoderChoice":
    """Returns what was given."""
    from export.encoder.source import EncoderChoice

    head = None if args.head is None else tuple(Path(part) for part in args.head.split(",") if part)
    return EncoderChoice(
        args.pooling,
        args.query_prompt,
        args.passage_prompt,
        args.max_tokens,
        head,
        encoder_languages(args),
        args.dimensions,
    )
