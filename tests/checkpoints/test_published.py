"""SALMONN's and video-SALMONN's published files: what is taken, what is listed, what is refused."""

import json

import pytest
import torch
from published_files import (
    assert_same,
    copied,
    loaded,
    refused,
    rewritten,
    salmonn,
    write_llama,
    write_whisper,
)
from transformers import AutoProcessor

from earsight.checkpoints import published_salmonn, published_video_salmonn, tensor_files
from earsight.checkpoints.published import ImportRefused
from earsight.checkpoints.published_model import variant
from earsight.checkpoints.published_parts import RightModel
from earsight.errors import EarsightError, PartsError

# SALMONN


def test_what_the_trainer_leaked_is_listed_as_ignored_and_the_unknown_as_unexpected(salmonn_files, tmp_path):
    files = copied(salmonn_files, tmp_path, "checkpoint")
    layer = "speech_Qformer.bert.encoder.layer.0"
    branch = [
        f"{layer}.intermediate.dense.weight",
        f"{layer}.output.LayerNorm.bias",
        "speech_Qformer.bert.embeddings.word_embeddings.weight",
        "speech_Qformer.cls.predictions.bias",
    ]
    strangers = ["speech_qformer_proj.weight", f"{layer}.attention.self.scale.weight"]
    rewritten(files["checkpoint"], lambda held: held["model"].update({n: torch.ones(2) for n in branch + strangers}))
    report = salmonn(files, tmp_path / "out")
    ignored = report.ignored["trained weights (salmonn.pth)"]
    assert set(branch) <= set(ignored)
    assert "llama_model.base_model.model.model.layers.1.self_attn.rotary_emb.inv_freq" in ignored
    assert "speech_Qformer.bert.embeddings.position_ids" in ignored
    assert "beats.encoder.layers.1.self_attn.relative_attention_bias.weight" in ignored
    assert report.unexpected == {"trained weights (salmonn.pth)": sorted(strangers)}
    assert "predictor.weight" in report.ignored["sound (BEATs.pt)"]
    told = json.loads((tmp_path / "out" / "import.json").read_text())
    assert told["ignored"] == report.ignored and told["unexpected"] == report.unexpected
    assert told["taken"] == report.taken == len(loaded(tmp_path / "out").state_dict())


def test_every_missing_name_is_in_the_report_and_the_first_are_in_the_message(salmonn_files, tmp_path):
    files = copied(salmonn_files, tmp_path, "checkpoint")
    lost = ["ln_audio.bias", "speech_llama_proj.bias", "ln_speech.bias", *(
        f"speech_Qformer.bert.encoder.layer.1.{part}.output.dense.bias" for part in ("attention", "crossattention")
    )]  # fmt: skip

    def lose(held):
        for name in lost:
            del held["model"][name]

    rewritten(files["checkpoint"], lose)
    error = refused(salmonn, files, tmp_path / "out")
    assert isinstance(error, ImportRefused)
    assert error.report.missing == [
        "connector.norms.sound.bias",
        "connector.norms.speech.bias",
        "connector.project.bias",
        "connector.qformer.encoder.layer.1.attention.output.dense.bias",
        "connector.qformer.encoder.layer.1.crossattention.output.dense.bias",
    ]
    assert "5 of " in str(error) and str(error).count("connector.") == 3


def test_the_released_behaviour_is_set_by_name(salmonn_files, tmp_path):
    salmonn(salmonn_files, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    speech, connector = config["values"]["encoders"]["speech"], config["values"]["connector"]
    assert speech["keep_padding"] and speech["chunk_seconds"] == 3.0, "all that Whisper gives, 30 s at full size"
    assert connector["last_window"] == "drop" and not connector["mask_padding"]
    assert config["values"]["lora"]["r"] == 8
    assert config["unmerged_lora"], "its scale can be chosen"
    assert config["system"] == "salmonn/13b"


def test_the_variant_is_told_by_the_language_models_width():
    assert variant("salmonn", 4096) == "salmonn/7b"
    assert variant("salmonn", 5120) == "salmonn/13b"


def test_settings_win_over_what_the_files_tell(salmonn_files, tmp_path):
    salmonn(salmonn_files, tmp_path / "out", {"connector": {"n_heads": 2}, "lora": {"lora_alpha": 28}})
    values = loaded(tmp_path / "out").config.values
    assert (values["connector"]["n_heads"], values["lora"]["lora_alpha"], values["lora"]["r"]) == (2, 28, 8)


def test_an_unknown_setting_is_refused_with_those_there_are(salmonn_files, tmp_path):
    with pytest.raises(EarsightError, match="no setting 'n_head'; .*did you mean n_heads"):
        salmonn(salmonn_files, tmp_path / "out", {"connector": {"n_head": 4}})


def test_sizes_that_make_no_model_are_one_line(salmonn_files, tmp_path):
    with pytest.raises(PartsError, match=r"sizes that make no model \(.+\); check the settings") as error:
        salmonn(salmonn_files, tmp_path / "out", {"connector": {"n_heads": 5}})
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


# The language model


@pytest.mark.parametrize(
    ("table", "width", "name"),
    [
        (published_salmonn.GOES_WITH, 5120, "Vicuna-13B v1.1"),
        (published_salmonn.GOES_WITH, 4096, "Vicuna-7B v1.5"),
        (published_video_salmonn.GOES_WITH, 5120, "Vicuna-13B v1.5"),
    ],
)
def test_each_width_goes_with_its_vicuna(salmonn_files, tmp_path, monkeypatch, table, width, name):
    """At tiny size the tables' rows stand for the golden weights' width."""
    assert table[width].name == name
    monkeypatch.setattr(published_salmonn, "GOES_WITH", {32: table[width]})
    files = dict(salmonn_files)
    write_llama(tmp_path / "other", hidden_size=16, num_hidden_layers=2)
    files["llm"] = tmp_path / "other"
    message = str(refused(salmonn, files, tmp_path / "out"))
    assert message.startswith(f"{tmp_path / 'other'}: this language model is 16 wide")
    assert "one 32 wide" in message and message.endswith(f"give {name}")


def test_another_number_of_layers_is_refused(salmonn_files, tmp_path):
    write_llama(tmp_path / "other", num_hidden_layers=1)
    message = str(refused(salmonn, {**salmonn_files, "llm": tmp_path / "other"}, tmp_path / "out"))
    assert "32 wide with 1 layers" in message and "32 wide with 2 layers" in message


def test_a_language_model_of_another_kind_is_refused(salmonn_files, tmp_path):
    files = copied(salmonn_files, tmp_path, "llm")
    config = json.loads((files["llm"] / "config.json").read_text())
    (files["llm"] / "config.json").write_text(json.dumps(config | {"model_type": "gpt_neox"}))
    assert "type gpt_neox; the published weights go with Vicuna" in str(refused(salmonn, files, tmp_path / "out"))


def test_a_vocabulary_of_another_size_than_its_config_is_told_as_such(salmonn_files, tmp_path):
    files = copied(salmonn_files, tmp_path, "llm")

    def one_word_more(state):
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            state[name] = torch.cat([state[name], state[name][:1]])

    rewritten(files["llm"] / "model.safetensors", one_word_more)
    message = str(refused(salmonn, files, tmp_path / "out"))
    assert "67 rows in the weights and 66 in config.json; only embed_tokens and lm_head differ" in message
    config = json.loads((files["llm"] / "config.json").read_text())
    (files["llm"] / "config.json").write_text(json.dumps(config | {"vocab_size": 67}))
    salmonn(files, tmp_path / "out")
    assert len(loaded(tmp_path / "out").get_input_embeddings().weight) == 67


def test_another_vicuna_of_the_right_shape_is_noted(salmonn_files, tmp_path, monkeypatch):
    monkeypatch.setattr(published_salmonn, "GOES_WITH", {32: RightModel("Vicuna-13B v1.1", 2048)})
    notes = salmonn(salmonn_files, tmp_path / "out").notes
    assert any("takes 512 tokens, Vicuna-13B v1.1 2048" in note for note in notes)
    assert any("has 66 words, Vicuna 32000" in note for note in notes)


def test_a_tokeniser_without_padding_pads_with_a_token_that_has_a_row(salmonn_files, tmp_path):
    files = copied(salmonn_files, tmp_path, "llm")
    file = files["llm"] / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pad_token": "[PAD]"}))  # becomes id 66 of 66
    salmonn(files, tmp_path / "out")
    processor = AutoProcessor.from_pretrained(tmp_path / "out")
    assert processor.tokenizer.pad_token == "</s>"


def test_a_tokeniser_of_another_model_is_refused(salmonn_files, tmp_path):
    files = copied(salmonn_files, tmp_path, "llm")
    write_llama(tmp_path / "other")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (files["llm"] / name).write_bytes((tmp_path / "other" / name).read_bytes())
    assert "193 words beyond the model's 66" in str(refused(salmonn, files, tmp_path / "out"))


def test_a_folder_without_a_tokeniser_is_refused_before_anything_is_written(salmonn_files, tmp_path):
    files = copied(salmonn_files, tmp_path, "llm")
    for file in files["llm"].glob("tokenizer*"):
        file.unlink()
    assert "no tokeniser that Transformers reads" in str(refused(salmonn, files, tmp_path / "out"))


def test_shards_of_old_with_rotary_buffers_are_read_and_a_lost_shard_is_named(salmonn_files, tmp_path):
    from safetensors.torch import load_file

    files = copied(salmonn_files, tmp_path, "llm")
    state = load_file(files["llm"] / "model.safetensors")
    state["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    (files["llm"] / "model.safetensors").unlink()
    names, places = sorted(state), {}
    for index, some in enumerate((names[::2], names[1::2])):
        shard = f"pytorch_model-{index + 1:05d}-of-00002.bin"
        torch.save({name: state[name] for name in some}, files["llm"] / shard)
        places |= dict.fromkeys(some, shard)
    (files["llm"] / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    report = salmonn(files, tmp_path / "out")
    assert report.ignored["language model (llm)"] == ["model.layers.0.self_attn.rotary_emb.inv_freq"]
    salmonn(salmonn_files, tmp_path / "plain")
    assert_same(loaded(tmp_path / "out"), loaded(tmp_path / "plain"))
    (files["llm"] / "pytorch_model-00002-of-00002.bin").unlink()
    assert "pytorch_model-00002-of-00002.bin is not there" in str(refused(salmonn, files, tmp_path / "again"))


def test_a_head_that_is_the_embedding_again_is_stored_once(salmonn_files, tmp_path):
    files = copied(salmonn_files, tmp_path, "llm")
    config = json.loads((files["llm"] / "config.json").read_text())
    (files["llm"] / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    report = salmonn(files, tmp_path / "out")
    assert report.ignored["language model (llm)"] == ["lm_head.weight"] and not report.unexpected
    model = loaded(tmp_path / "out")
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


# The other parts


def test_a_whisper_of_another_width_is_named_with_its_sizes(salmonn_files, tmp_path):
    write_whisper(tmp_path / "other", d_model=16)
    message = str(refused(salmonn, {**salmonn_files, "whisper": tmp_path / "other"}, tmp_path / "out"))
    assert "tensors have other sizes, such as connector." in message and "salmonn.pth" in message


def test_what_whispers_file_holds_for_its_decoder_is_ignored(salmonn_files, tmp_path):
    whisper = write_whisper(tmp_path / "whisper", d_model=24, encoder_layers=2, encoder_attention_heads=4)
    report = salmonn({**salmonn_files, "whisper": tmp_path / "whisper"}, tmp_path / "out")
    assert all("decoder" in name for name in report.ignored["speech (whisper)"])
    ours = loaded(tmp_path / "out").encoders["speech"].encoder
    assert_same(ours, whisper.model.encoder)


def test_a_lora_on_other_modules_than_usual_is_taken_whole(salmonn_files, tmp_path):
    files = copied(salmonn_files, tmp_path, "checkpoint")

    def add(held):
        for layer in range(2):
            start = f"llama_model.base_model.model.model.layers.{layer}.mlp.up_proj.lora_"
            held["model"] |= {
                f"{start}A.default.weight": torch.ones(8, 32),
                f"{start}B.default.weight": torch.ones(64, 8),
            }

    rewritten(files["checkpoint"], add)
    salmonn(files, tmp_path / "out")
    model = loaded(tmp_path / "out")
    assert model.config.values["lora"]["target_modules"] == ["q_proj", "v_proj", "up_proj"]
    assert model.language_model.model.layers[1].mlp.up_proj.lora_B["default"].weight.eq(1).all()


def test_several_shards_hold_what_one_does_and_from_pretrained_reads_them(salmonn_files, tmp_path, monkeypatch):
    salmonn(salmonn_files, tmp_path / "one")
    monkeypatch.setattr(tensor_files, "SHARD_BYTES", 100_000)
    salmonn(salmonn_files, tmp_path / "many")
    shards = sorted((tmp_path / "many").glob("model-*.safetensors"))
    assert len(shards) > 2 and shards[0].name == f"model-00001-of-{len(shards):05d}.safetensors"
    assert all(shard.stat().st_size < 120_000 for shard in shards)
    assert_same(loaded(tmp_path / "many"), loaded(tmp_path / "one"))
