"""Small random encoders of every family, each with the kind of tokenizer that its family comes with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

WORDS = tuple(f"word{number}" for number in range(60))
POSITIONS = 80  # texts this long fit; three buckets and a maximum beside them
_SEED = 3


def _wordpiece(pieces: Sequence[str] = ()) -> tuple[Tokenizer, int]:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens = [*special, *_PIECES, *pieces, *(f"##{letter}" for letter in _LETTERS)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer, len(vocabulary)


def _mpnet_wordpiece() -> tuple[Tokenizer, int]:
    special = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    vocabulary = {token: number for number, token in enumerate([*special, *_PIECES, *(f"##{p}" for p in _LETTERS)])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer, len(vocabulary)


def _byte_level(special: list[str]) -> tuple[Tokenizer, int]:
    """BPE over bytes with a few merges, as GPT-2's and RoBERTa's: no text is unknown to it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("w", "o"), ("r", "d"), ("wo", "rd"), ("Ġ", "word")]
    pieces = [*special, *letters, *("".join(merge) for merge in merges)]
    vocabulary = {token: number for number, token in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    return tokenizer, len(vocabulary)


def _roberta_bpe() -> tuple[Tokenizer, int]:
    tokenizer, size = _byte_level(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer, size


def _modernbert_bpe() -> tuple[Tokenizer, int]:
    tokenizer, size = _byte_level(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer, size


def _gpt2_bpe() -> tuple[Tokenizer, int]:
    return _byte_level(["<|endoftext|>"])


def _unigram(special: list[str], unknown: int) -> tuple[Tokenizer, int]:
    """Sentence pieces with scores, as XLM-R's and T5's."""
    pieces = [(token, 0.0) for token in special] + [("▁", -3.0)]
    pieces += [(f"▁{word}", -4.0) for word in _PIECES if len(word) > 1] + [(letter, -6.0) for letter in _LETTERS]
    tokenizer = Tokenizer(models.Unigram(pieces, unknown, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(special)
    return tokenizer, len(pieces)


def _xlmr_unigram() -> tuple[Tokenizer, int]:
    tokenizer, size = _unigram(["<s>", "<pad>", "</s>", "<unk>"], 3)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer, size


def _t5_unigram() -> tuple[Tokenizer, int]:
    tokenizer, size = _unigram(["<pad>", "</s>", "<unk>"], 2)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tokenizer, size


_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:;'-"
_PIECES = [*WORDS, *_LETTERS]
# Every character of the main block, as a Chinese BERT has most of them, its punctuation, and Latin pairs.
_CHINESE_PIECES = [chr(code) for code in range(0x4E00, 0xA000)] + list("，。：；！？（）、“”…·—")
_CHINESE_PIECES += [first + second for first in _LETTERS[:26] for second in _LETTERS[:26]]
_TOKENIZERS: dict[str, Callable[[], tuple[Tokenizer, int]]] = {
    "bert": _wordpiece,
    "roberta": _roberta_bpe,
    "xlm-roberta": _xlmr_unigram,
    "distilbert": _wordpiece,
    "mpnet": _mpnet_wordpiece,
    "ernie": _wordpiece,
    "modernbert": _modernbert_bpe,
    "t5": _t5_unigram,
    "gpt2": _gpt2_bpe,
}


@dataclass(frozen=True)
class Size:
    """How large a random encoder is.

    Attributes:
        width: of its vectors.
        inner: width inside a layer.
        layers: how many.
        heads: of attention.
        positions: the longest text in tokens.
        spread: standard deviation of its weights.
        noise: added to every parameter: norms, biases and position tables start as 0 or 1 in some families.
    """

    width: int = 32
    inner: int = 48
    layers: int = 2
    heads: int = 4
    positions: int = POSITIONS
    spread: float = 0.3
    noise: float = 0.1


def _config(family: str, size: Size) -> dict[str, object]:
    bert: dict[str, object] = {
        "hidden_size": size.width, "intermediate_size": size.inner, "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads, "initializer_range": size.spread,
    }  # fmt: skip
    plain = {**bert, "max_position_embeddings": size.positions}
    # Their positions start behind the padding's, so the table is two longer than any text.
    shifted = {**bert, "max_position_embeddings": size.positions + 2, "pad_token_id": 1}
    configs: dict[str, dict[str, object]] = {
        "bert": plain,
        "roberta": {**shifted, "type_vocab_size": 1},
        "xlm-roberta": {**shifted, "type_vocab_size": 1},
        "mpnet": shifted,
        "ernie": {**plain, "use_task_id": True},
        "distilbert": {
            "max_position_embeddings": size.positions, "dim": size.width, "n_layers": size.layers,
            "n_heads": size.heads, "hidden_dim": size.inner, "initializer_range": size.spread,
        },
        # A window of 8 tokens: most texts are longer, so that a missing window would show.
        "modernbert": {
            **plain, "local_attention": 8, "global_attn_every_n_layers": 2, "pad_token_id": 0, "cls_token_id": 2,
            "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3,
        },
        "t5": {
            "d_model": size.width, "d_kv": size.width // size.heads, "d_ff": size.inner, "num_layers": size.layers,
            "num_heads": size.heads, "feed_forward_proj": "gated-gelu", "dropout_rate": 0.0,
        },
        "gpt2": {
            "n_positions": size.positions, "n_embd": size.width, "n_layer": size.layers, "n_head": size.heads,
            "n_inner": size.inner, "initializer_range": size.spread, "bos_token_id": 0, "eos_token_id": 0,
        },
    }  # fmt: skip
    return configs[family]


def _model(family: str, vocabulary_size: int, size: Size) -> transformers.PreTrainedModel:
    config = transformers.AutoConfig.for_model(family, vocab_size=vocabulary_size, **_config(family, size))
    return transformers.T5EncoderModel(config) if family == "t5" else transformers.AutoModel.from_config(config)


def write_family(folder: Path, family: str, *, chinese: bool = False, size: Size | None = None) -> Path:
    """Writes a plain transformers folder of this family; `chinese` gives it a vocabulary of Chinese characters."""
    size = size or Size()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer, vocabulary_size = _wordpiece(_CHINESE_PIECES) if chinese else _TOKENIZERS[family]()
    words = {"unk_token": getattr(tokenizer.model, "unk_token", None), "pad_token": tokenizer.id_to_token(0)}
    if family in ("roberta", "xlm-roberta", "mpnet"):
        words["pad_token"] = "<pad>"
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=size.positions, **words
    ).save_pretrained(folder)
    torch.manual_seed(_SEED)
    model = _model(family, vocabulary_size, size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(size.noise * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Layout:
    """A sentence-transformers folder around a transformer.

    Attributes:
        family: of the transformer.
        pooling: by the library's name.
        head: widths and activations of the Dense layers.
        query: prompt.
        passage: prompt.
        normalised: whether a Normalize module ends it.
        chinese: whether its vocabulary is.
        size: of the transformer.
    """

    family: str
    pooling: str = "mean"
    head: tuple[tuple[int, torch.nn.Module, bool], ...] = ()
    query: str = ""
    passage: str = ""
    normalised: bool = True
    chinese: bool = False
    size: Size = Size()


def sentence_encoder(work: Path, layout: Layout) -> SentenceTransformer:
    """Returns the library's own model of this layout: the oracle, and what `save` writes."""
    folder = write_family(work, layout.family, chinese=layout.chinese, size=layout.size)
    transformer = Transformer(str(folder), model_kwargs={"local_files_only": True})
    modules: list[torch.nn.Module] = [transformer, Pooling(layout.size.width, layout.pooling)]
    torch.manual_seed(_SEED)
    width = layout.size.width
    for wider, activation, bias in layout.head:
        modules.append(Dense(width, wider, bias=bias, activation_function=activation))
        width = wider
    modules += [Normalize()] if layout.normalised else []
    prompts = {"query": layout.query, "document": layout.passage}
    encoder = SentenceTransformer(modules=modules, prompts=prompts, device="cpu")
    encoder.eval()
    return encoder
