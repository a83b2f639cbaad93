"""video-SALMONN's published files: the golden soft tokens come out, second names and spare blocks are left."""

import json
import re
from dataclasses import replace

import pytest
import torch
from compare_video_salmonn_mrc_qformer import case_features
from published_files import (
    BEATS,
    PICTURES,
    assert_same,
    copied,
    golden,
    instructblip_state,
    loaded,
    refused,
    rewritten,
    salmonn,
    video_salmonn,
    video_settings,
)
from transformers import AutoProcessor


@pytest.fixture(scope="module")
def video(video_salmonn_files, tmp_path_factory):
    """The imported folder's model and processor, and the report."""
    out = tmp_path_factory.mktemp("imported") / "out"
    report = video_salmonn(video_salmonn_files, out, question_vocabulary=video_salmonn_files["vocabulary"])
    return loaded(out), AutoProcessor.from_pretrained(out), report


@pytest.mark.parametrize("case", ["av", "audio_longer", "audio_only"])
def test_an_imported_video_salmonn_gives_the_golden_soft_tokens(video, case):
    model, _, _ = video
    stored = golden("videosalmonn_mrc_low")
    features = case_features(stored, case)
    with torch.no_grad():
        made = model.connector(features, torch.zeros(len(stored.tensors[f"{case}.out"]), dtype=torch.long))
    stored.check(f"{case}.out", made.values)


def test_every_part_of_an_imported_video_salmonn_is_what_was_written(video, video_salmonn_files):
    model, _, report = video
    written = video_salmonn_files["modules"]
    assert_same(model.encoders["vision"], written["vision"])
    assert_same(model.encoders["speech"].encoder, written["speech"].model.encoder)
    sound = {name: v for name, v in written["sound"].state_dict().items() if not name.startswith("predictor.")}
    for name, value in model.encoders["sound"].state_dict().items():
        assert torch.allclose(value, sound[name], atol=1e-6), name
    assert torch.equal(model.language_model.lm_head.weight, written["llm"].lm_head.weight)
    assert not report.missing and not report.unexpected and not report.notes


def test_the_released_video_salmonn_sees_later_frames_and_the_ends_of_seconds(video):
    model, processor, _ = video
    described = model.description
    assert described.connector.causal == "future"
    assert described.frames_at_second_ends and processor.sampling().second_ends
    assert described.lora["target_modules"] == ["q_proj", "k_proj", "v_proj", "o_proj"] and described.lora["r"] == 4
    assert described.encoders["speech"].keep_padding


def test_the_given_vocabulary_reads_the_question(video):
    _, processor, _ = video
    assert processor.question_ids(["hi"])["instruction_ids"].shape == (1, 2)


def test_published_levels_are_half_a_second_and_five(video_salmonn_files, tmp_path):
    files = copied(video_salmonn_files, tmp_path, "checkpoint")

    def published_queries(held):
        held["low_query_tokens"], held["video_query_tokens"] = torch.randn(1, 3, 32), torch.randn(1, 30, 32)

    rewritten(files["checkpoint"], published_queries)
    settings = video_settings()
    del settings["connector"]["levels"]
    video_salmonn(files, tmp_path / "out", settings)
    levels = json.loads((tmp_path / "out" / "config.json").read_text())["values"]["connector"]["levels"]
    assert levels == [{"window_seconds": 0.5, "n_queries": 3}, {"window_seconds": 5.0, "n_queries": 30}]


def test_second_names_are_ignored_and_the_unknown_is_listed(video_salmonn_files, tmp_path):
    files = copied(video_salmonn_files, tmp_path, "checkpoint")
    again = {
        "speech_query_tokens": "video_query_tokens",
        "joint_query_tokens": "video_query_tokens",
        "ln_speech.weight": "ln_video.weight",
        "llama_proj_speech.bias": "llama_proj.bias",
        "joint_Qformer.bert.embeddings.LayerNorm.bias": "video_Qformer.bert.embeddings.LayerNorm.bias",
    }
    buffers = ["video_Qformer.bert.embeddings.position_ids", "llama_model.model.layers.0.self_attn.rotary_emb.inv_freq"]

    def add(held):
        held |= {name: held[first] for name, first in again.items()}
        held |= {name: torch.ones(2) for name in [*buffers, "audio_gate.weight"]}

    rewritten(files["checkpoint"], add)
    report = video_salmonn(files, tmp_path / "out")
    label = "trained weights (pytorch_model_4_5001.pt)"
    assert {*again, *buffers} <= set(report.ignored[label])
    assert any(name.startswith("low_Qformer.") for name in report.ignored[label]), "built, and never run"
    assert report.unexpected == {label: ["audio_gate.weight"]}
    assert any("--question-vocabulary" in note for note in report.notes)


def test_the_last_of_evas_forty_blocks_is_left_and_listed(video_salmonn_files, tmp_path):
    files = copied(video_salmonn_files, tmp_path, "instructblip")
    state = instructblip_state(replace(PICTURES, vit_layers=40, vit_dim=8, vit_ffn_dim=4).build())
    eva = {n.removeprefix("visual_encoder."): v for n, v in state.items() if n.startswith("visual_encoder.")}
    torch.save(eva | {"norm.weight": torch.ones(8), "head.bias": torch.ones(3)}, tmp_path / "eva_vit_g.pth")
    torch.save({n: v for n, v in state.items() if not n.startswith("visual_encoder.")}, files["instructblip"])
    assert "give EVA ViT-g's own file too" in str(refused(video_salmonn, files, tmp_path / "out"))
    report = video_salmonn(files, tmp_path / "out", eva_file=tmp_path / "eva_vit_g.pth")
    ignored = report.ignored["pictures (instructblip.pth)"]
    assert {name for name in ignored if ".blocks." in name} == {
        f"visual_encoder.{name}" for name in eva if name.startswith("blocks.39.")
    }
    assert {"visual_encoder.norm.weight", "visual_encoder.head.bias"} <= set(ignored)
    values = json.loads((tmp_path / "out" / "config.json").read_text())["values"]
    assert values["encoders"]["vision"]["vit_layers"] == 39


def test_another_number_of_blocks_is_taken_whole(video):
    assert video[0].description.encoders["vision"].vit_layers == PICTURES.vit_layers
    assert video[0].description.encoders["sound"].n_layers == BEATS.n_layers


def test_pictures_that_are_not_whole_are_refused(video_salmonn_files, tmp_path):
    files = copied(video_salmonn_files, tmp_path, "instructblip")

    def lose(held):
        del held["model"]["visual_encoder.blocks.1.attn.v_bias"]

    rewritten(files["instructblip"], lose)
    assert "not whole" in str(refused(video_salmonn, files, tmp_path / "out"))


def test_files_given_in_each_others_places_are_told_by_what_they_look_like(
    salmonn_files, video_salmonn_files, tmp_path
):
    for run, files, option, wrong, message in (
        (salmonn, salmonn_files, "checkpoint", salmonn_files["beats"], r"not SALMONN's .*, it looks like BEATs\)"),
        (salmonn, salmonn_files, "beats", salmonn_files["checkpoint"], "expected BEATs weights"),
        (video_salmonn, video_salmonn_files, "checkpoint", salmonn_files["checkpoint"], "looks like SALMONN's"),
        (video_salmonn, video_salmonn_files, "instructblip", salmonn_files["beats"], "looks like BEATs"),
    ):
        told = str(refused(run, {**files, option: wrong}, tmp_path / "out"))
        assert re.search(message, told) and str(wrong) in told, told
