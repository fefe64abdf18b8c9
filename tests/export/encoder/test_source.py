import shutil
import subprocess
import sys

import pytest

from domain.errors import EncoderNotUsable
from export.encoder.source import EncoderChoice, resolve_encoder

MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
MODULES = [
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
]


@pytest.mark.parametrize("name", [None, "all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_default_encoder_is_the_carried_one(name):
    source = resolve_encoder(name)
    assert source.name == (name or "all-MiniLM-L6-v2")
    assert (source.family, source.dimension, source.max_tokens, source.pooling) == ("bert", 384, 256, "mean")
    assert source.pad_token_id == 0
    assert source.languages == ("en",)
    assert source.tokenizer_file.is_file()


def test_resolving_loads_nothing_heavy():
    code = (
        "import sys; from export.encoder.source import resolve_encoder; resolve_encoder(None); "
        "print([name for name in ('torch', 'transformers', 'sentence_transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_languages_are_those_of_the_card_unless_others_are_chosen(shared_encoder, tmp_path):
    folder = shutil.copytree(shared_encoder, tmp_path / "encoder")
    assert resolve_encoder(str(folder)).languages == ()
    (folder / "README.md").write_text("---\nlanguage: [en, de-AT]\n---\n# Small\n")
    source = resolve_encoder(str(folder))
    assert source.languages == ("en", "de")
    assert resolve_encoder(str(folder), EncoderChoice(languages=("zh",))).languages == ("zh",)
    assert resolve_encoder(str(folder), EncoderChoice(languages=())).languages == ()
    # It says nothing of the vectors.
    assert source.sha256 == resolve_encoder(str(shared_encoder)).sha256


def test_plain_folder_is_mean_pooled_and_limited_by_its_positions(shared_encoder):
    source = resolve_encoder(str(shared_encoder))
    assert (source.dimension, source.max_tokens, source.pooling) == (32, 64, "mean")
    assert source.folder == shared_encoder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 256),
        ({"sentence_bert_config.json": {"max_seq_length": 128}}, 128),
        ({"sentence_bert_config.json": {"max_seq_length": 300}}, 300),
        ({"sentence_bert_config.json": {"max_seq_length": 4096}}, 400),
        ({"sentence_bert_config.json": {"max_seq_length": None}}, 256),
        ({"tokenizer_config.json": {"model_max_length": 100}}, 100),
        ({"tokenizer_config.json": {"model_max_length": 400}}, 256),
        ({"tokenizer_config.json": {"model_max_length": 1e30}}, 256),
        ({"tokenizer_config.json": {"model_max_length": 400}, "modules.json": MODULES[:1]}, 400),
        ({"tokenizer_config.json": {"model_max_length": 1e30}, "modules.json": MODULES[:1]}, 256),
        (
            {
                "tokenizer_config.json": {"model_max_length": 350},
                "modules.json": MODULES[:1],
                "sentence_bert_config.json": {"max_seq_length": 128},
            },
            128,
        ),
    ],
)
def test_token_limit(make_encoder, put_json, tmp_path, files, expected):
    folder = make_encoder(tmp_path / "e", positions=400)
    for name, content in files.items():
        put_json(folder / name, content)
    assert resolve_encoder(str(folder)).max_tokens == expected


@pytest.mark.parametrize("pooling", [MEAN, {"pooling_mode": "mean"}, {"pooling_mode": ["mean"]}])
def test_mean_pooling_in_either_notation(small_encoder, put_json, pooling):
    put_json(small_encoder / "modules.json", MODULES)
    put_json(small_encoder / "1_Pooling/config.json", pooling)
    assert resolve_encoder(str(small_encoder)).pooling == "mean"


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}, "last"),
        ({"pooling_mode": ["lasttoken"]}, "last"),
    ],
)
def test_other_poolings_in_either_notation_and_the_choice_before_them(small_encoder, put_json, pooling, expected):
    put_json(small_encoder / "modules.json", MODULES)
    put_json(small_encoder / "1_Pooling/config.json", pooling)
    assert resolve_encoder(str(small_encoder)).pooling == expected
    assert resolve_encoder(str(small_encoder), EncoderChoice(pooling="mean")).pooling == "mean"


@pytest.mark.parametrize(
    ("pooling", "named"),
    [
        ({**MEAN, "pooling_mode_max_tokens": True}, "mean_tokens and max_tokens"),
        ({"pooling_mode": "weightedmean"}, "weightedmean"),
        ({"pooling_mode": ["cls", "mean"]}, "cls and mean"),
    ],
)
def test_another_pooling_is_refused(small_encoder, put_json, pooling, named):
    put_json(small_encoder / "modules.json", MODULES)
    put_json(small_encoder / "1_Pooling/config.json", pooling)
    with pytest.raises(EncoderNotUsable, match=rf"{named}; supported: one of mean, cls, last"):
        resolve_encoder(str(small_encoder))


def test_an_unknown_choice_of_pooling_is_refused(shared_encoder):
    with pytest.raises(EncoderNotUsable, match="no pooling 'max'; supported: mean, cls, last"):
        resolve_encoder(str(shared_encoder), EncoderChoice(pooling="max"))


def test_a_choice_of_length_is_taken_within_the_positions(shared_encoder):
    assert resolve_encoder(str(shared_encoder), EncoderChoice(max_tokens=64)).max_tokens == 64
    assert resolve_encoder(str(shared_encoder), EncoderChoice(max_tokens=3)).max_tokens == 3
    for asked in (65, 2, 0, -1):
        with pytest.raises(EncoderNotUsable, match=rf"can't take {asked} tokens: it has positions for 64"):
            resolve_encoder(str(shared_encoder), EncoderChoice(max_tokens=asked))


def test_prompts_of_the_folder_and_the_choice_before_them(small_encoder, put_json):
    put_json(small_encoder / "config_sentence_transformers.json", {"prompts": {"query": "word1: ", "passage": "word2"}})
    source = resolve_encoder(str(small_encoder))
    assert (source.query_prompt, source.passage_prompt) == ("word1: ", "word2")
    source = resolve_encoder(str(small_encoder), EncoderChoice(query_prompt="", passage_prompt="word3"))
    assert (source.query_prompt, source.passage_prompt) == ("", "word3")


def test_vectors_are_cut_to_the_dimensions_asked_for(shared_encoder, tmp_path):
    whole = resolve_encoder(str(shared_encoder))
    cut = resolve_encoder(str(shared_encoder), EncoderChoice(dimensions=16))
    assert (whole.dimension, whole.full_dimension) == (32, 0)
    assert (cut.dimension, cut.full_dimension) == (16, 32)
    assert cut.sha256 != whole.sha256
    assert resolve_encoder(str(shared_encoder), EncoderChoice(dimensions=32)).sha256 == whole.sha256
    for count in (0, 7, 33):
        with pytest.raises(EncoderNotUsable, match="vectors of 32 dimensions; ask for --dimensions from 8 to 32"):
            resolve_encoder(str(shared_encoder), EncoderChoice(dimensions=count))


def test_the_folder_may_name_its_dimensions(small_encoder, put_json):
    put_json(small_encoder / "config_sentence_transformers.json", {"truncate_dim": 8})
    assert resolve_encoder(str(small_encoder)).dimension == 8
    assert resolve_encoder(str(small_encoder), EncoderChoice(dimensions=16)).dimension == 16


def test_a_prompt_that_leaves_no_room_is_refused(small_encoder):
    choice = EncoderChoice(query_prompt="word1 " * 8, max_tokens=20)
    assert resolve_encoder(str(small_encoder), choice).query_prompt
    with pytest.raises(EncoderNotUsable, match="the passage prompt takes 11 of the encoder's 20 tokens"):
        resolve_encoder(str(small_encoder), EncoderChoice(passage_prompt="word1 " * 9, max_tokens=20))


def test_prompts_that_are_not_pooled_are_refused(small_encoder, put_json):
    put_json(small_encoder / "modules.json", MODULES)
    put_json(small_encoder / "1_Pooling/config.json", {"pooling_mode": "mean", "include_prompt": False})
    assert resolve_encoder(str(small_encoder)).query_prompt == ""
    with pytest.raises(EncoderNotUsable, match="include_prompt is false"):
        resolve_encoder(str(small_encoder), EncoderChoice(query_prompt="word1"))


def test_an_unknown_module_is_refused(small_encoder, put_json):
    layer = {"idx": 2, "path": "2_LSTM", "type": "sentence_transformers.models.LSTM"}
    put_json(small_encoder / "modules.json", [*MODULES[:2], layer])
    put_json(small_encoder / "1_Pooling/config.json", MEAN)
    with pytest.raises(EncoderNotUsable, match=r"'LSTM'.*supported.*Dense"):
        resolve_encoder(str(small_encoder))


def test_transformer_in_a_folder_of_its_own(make_encoder, put_json, tmp_path):
    inner = make_encoder(tmp_path / "st/0_Transformer")
    put_json(tmp_path / "st/modules.json", [{**MODULES[0], "path": "0_Transformer"}, MODULES[1]])
    put_json(tmp_path / "st/1_Pooling/config.json", MEAN)
    source = resolve_encoder(str(tmp_path / "st"))
    assert (source.folder, source.root) == (inner, tmp_path / "st")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(small_encoder, name):
    (small_encoder / name).unlink()
    with pytest.raises(EncoderNotUsable, match=rf"{name} is missing"):
        resolve_encoder(str(small_encoder))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
def test_a_broken_file_is_named(small_encoder, name, content):
    (small_encoder / name).write_bytes(content)
    with pytest.raises(EncoderNotUsable, match=name):
        resolve_encoder(str(small_encoder))


def test_pickled_weights_are_not_read(small_encoder):
    (small_encoder / "model.safetensors").rename(small_encoder / "pytorch_model.bin")
    with pytest.raises(EncoderNotUsable, match="can run code"):
        resolve_encoder(str(small_encoder))


def test_a_missing_shard_is_named(small_encoder, put_json):
    shard = small_encoder / "model-00001-of-00002.safetensors"
    (small_encoder / "model.safetensors").rename(shard)
    put_json(small_encoder / "model.safetensors.index.json", {"weight_map": {"x": shard.name}})
    assert resolve_encoder(str(small_encoder)).sha256
    put_json(small_encoder / "model.safetensors.index.json", {"weight_map": {"x": shard.name, "y": "second"}})
    with pytest.raises(EncoderNotUsable, match="second is missing"):
        resolve_encoder(str(small_encoder))


def test_another_family_is_refused(small_encoder, put_json):
    put_json(small_encoder / "config.json", {"model_type": "llama"})
    with pytest.raises(EncoderNotUsable, match=r"'llama'; supported: bert, roberta, .*gpt2$"):
        resolve_encoder(str(small_encoder))
    put_json(small_encoder / "config.json", {"model_type": "transfo-xl"})
    with pytest.raises(EncoderNotUsable, match=r"supported: bert, .*has no Transformer-XL any more"):
        resolve_encoder(str(small_encoder))


@pytest.mark.parametrize("name", ["vocab.txt", "spiece.model", "vocab.json"])
def test_a_tokenizer_in_another_form_is_named_with_the_way_to_convert_it(small_encoder, name):
    (small_encoder / "tokenizer.json").unlink()
    (small_encoder / name).write_text("")
    with pytest.raises(EncoderNotUsable, match=rf"tokenizer.json is missing. The folder has a {name}.*save_pretrained"):
        resolve_encoder(str(small_encoder))


def test_a_tokenizer_of_another_model_is_refused(small_encoder):
    shutil.copy(resolve_encoder(None).tokenizer_file, small_encoder / "tokenizer.json")
    with pytest.raises(EncoderNotUsable, match="token id 30521, but the model knows 100"):
        resolve_encoder(str(small_encoder))


def test_the_digest_follows_every_file_that_counts(make_encoder, tmp_path):
    def digest(seed):
        return resolve_encoder(str(make_encoder(tmp_path / "e", seed=seed))).sha256

    first = digest(0)
    assert digest(0) == first
    assert digest(1) != first
    digest(0)
    for name in ("config.json", "tokenizer.json"):
        path = tmp_path / "e" / name
        path.write_text(path.read_text() + " ")
        assert resolve_encoder(str(tmp_path / "e")).sha256 != first
        path.write_text(path.read_text()[:-1])


@pytest.mark.parametrize("name", ["no/such/folder", "has space", " ", "../up"])
def test_what_is_neither_folder_nor_name(name):
    with pytest.raises(
        EncoderNotUsable, match=r"give a folder with config\.json, tokenizer\.json and model\.safetensors"
    ):
        resolve_encoder(name)


def test_a_name_that_the_hub_cannot_give():
    # Offline mode makes it the same on every machine; in a process of its own, since the library reads it on import.
    code = (
        "from export.encoder.source import resolve_encoder\n"
        "from domain.errors import EncoderNotUsable\n"
        "try: resolve_encoder('nobody/no-such-encoder')\n"
        "except EncoderNotUsable as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"HF_HUB_OFFLINE": "1"}
    )
    assert "no such folder, and the hub could not be reached or has no such model" in done.stdout


def test_a_file_is_no_folder(shared_encoder):
    with pytest.raises(EncoderNotUsable, match="is a file"):
        resolve_encoder(str(shared_encoder / "config.json"))
