"""Encoder families that can be exported, and their differences."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.errors import EncoderNotUsable


@dataclass(frozen=True)
class Family:
    """Properties of an encoder family that its export needs.

    Attributes:
        name: `model_type` in the words of transformers.
        title: as people call it.
        width_key: where config.json says how wide a token's vector is.
        positions_key: where it says how many positions there are; empty where positions are relative and don't end.
        first_position: of a text's first token; None where it is the padding id's successor. Positions before it are
            never used, so texts are that much shorter than the table.
        pad_token_id: where config.json names none; None where the family has none of its own.
        causal: whether a token sees only what stands before it.
        model_class: of transformers; the encoder half where there are two.
        oracle_attention: another implementation than the exported one, for the parity gate, where there is one.
    """

    name: str
    title: str
    width_key: str = "hidden_size"
    positions_key: str = "max_position_embeddings"
    first_position: int | None = 0
    pad_token_id: int | None = 0
    causal: bool = False
    model_class: str = "AutoModel"
    oracle_attention: str = "sdpa"


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("bert", "BERT"),
        Family("roberta", "RoBERTa", first_position=None, pad_token_id=1),
        Family("xlm-roberta", "XLM-R", first_position=None, pad_token_id=1),
        Family("distilbert", "DistilBERT", width_key="dim"),
        # Its code has 1 as the padding of positions, whatever the config says; and one implementation of attention.
        Family("mpnet", "MPNet", first_position=2, pad_token_id=1, oracle_attention="eager"),
        Family("ernie", "ERNIE"),
        Family("modernbert", "ModernBERT", pad_token_id=50283),
        Family("t5", "T5 (encoder)", width_key="d_model", positions_key="", model_class="T5EncoderModel"),
        Family("gpt2", "GPT-2", width_key="n_embd", positions_key="n_positions", pad_token_id=None, causal=True),
    )
}

_GONE = "; transformers has no Transformer-XL any more, so there is nothing left to export it with"


def family_of(name: str, model_type: object) -> Family:
    """Returns the family of an encoder.

    Args:
        name: of the encoder, for the message.
        model_type: what its config.json says.

    Raises:
        EncoderNotUsable: the family is not supported.
    """
    known = FAMILIES.get(model_type) if isinstance(model_type, str) else None
    if known is None:
        gone = _GONE if model_type == "transfo-xl" else ""
        raise EncoderNotUsable(f"{name} is of the family {model_type!r}; supported: {', '.join(FAMILIES)}{gone}")
    return known
