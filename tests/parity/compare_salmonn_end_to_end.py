"""Tiny random SALMONN, through the importer as a user would: files of the published layout -> folder -> answers."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file
from transformers import AutoModelForMultimodalLM, LlamaConfig

from earsight.checkpoints.published import import_salmonn
from earsight.encoders.beats import normalised_fbank, reference_token_mask
from earsight.model import prompt_ids, register

LLAMA = "llama_model.base_model.model."


def compare(golden):
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_published_files(golden, folder)
        about = golden.about
        settings = {
            "connector": {"n_heads": about["qformer"]["num_attention_heads"]},
            "lora": {"lora_alpha": about["lora"]["alpha"]},
        }
        parts = (folder / name for name in ("salmonn.pth", "whisper", "BEATs.pt", "llm", "out"))
        report = import_salmonn(*parts, settings)
        assert not report.missing and not report.unexpected
        register()
        model = AutoModelForMultimodalLM.from_pretrained(folder / "out", dtype=torch.float32).eval()
    with torch.no_grad():
        walk(golden, model)


def write_published_files(golden, folder):
    """The golden state as what a user has: trained weights, Whisper's folder, BEATs' file, the LLM's folder."""
    about, state = golden.about, golden.state
    saved = {name: state[name] for name in about["saved_by_reference_trainer"] if name in state}
    torch.save({"model": saved, "epoch": 1}, folder / "salmonn.pth")
    (folder / "whisper").mkdir()
    speech = named(state, "speech_encoder.", "model.encoder.")
    save_file(speech, folder / "whisper" / "model.safetensors")
    (folder / "whisper" / "config.json").write_text(json.dumps({"model_type": "whisper"} | about["whisper"]))
    torch.save({"cfg": about["beats"], "model": named(state, "beats.", "")}, folder / "BEATs.pt")
    language_model = {
        name.replace(".base_layer.", "."): value
        for name, value in named(state, LLAMA, "").items()
        if ".lora_" not in name and not name.endswith("inv_freq")
    }
    (folder / "llm").mkdir()
    save_file(language_model, folder / "llm" / "model.safetensors")
    LlamaConfig(**about["llama"]).save_pretrained(folder / "llm")
    write_tokenizer(about["llama"]["vocab_size"], folder / "llm")


def named(state, prefix, ours):
    return {ours + name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def write_tokenizer(n_words, folder):
    """Any tokeniser with as many words: the golden file gives ids."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "<s>", "</s>", *(f"w{index}" for index in range(3, n_words))]
    plain = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    PreTrainedTokenizerFast(
        tokenizer_object=plain, bos_token="<s>", eos_token="</s>", pad_token=words[-1], unk_token="<unk>"
    ).save_pretrained(folder)


def walk(golden, model):
    given, about = golden.tensors, golden.about
    samples = (given["padding_mask"] == 0).sum(1)
    speech = model.encoders["speech"](given["spectrogram"], samples)
    golden.check("whisper_out", speech["speech"].values)
    # Reference quirk: in a batch the waveforms are padded before the filterbank, and padding is handed on as sound.
    fbank = normalised_fbank(given["raw_wav"])
    n_tokens = given["beats_out"].shape[1]
    mask = reference_token_mask(given["padding_mask"] == 0, fbank.shape[1], n_tokens)
    heard = model.encoders["sound"](fbank, samples, token_mask=mask, every_token=True)
    golden.check("beats_out", heard["sound"].values, atol=1e-4)  # 1e-4 from the wave on
    made = model.connect(speech | heard, samples * 1000 // 16000)
    assert bool(made.mask.all())
    golden.check("speech_embeds", made.values)
    tokens, slot = about["tokens"], [model.config.media_token_id] * made.values.shape[1]
    asked = [
        [tokens["bos"], *before, *slot, *after]
        for before, after in zip(tokens["before_ids"], tokens["after_ids"], strict=True)
    ]
    batch = prompt_ids.padded(asked, tokens["target_ids"], tokens["pad"], "inner")
    golden.check("train.mask", batch["attention_mask"])
    golden.check("train.labels", batch["labels"])
    embeds = model.splice(batch["input_ids"], made.values[made.mask])
    golden.check("train.embeds", embeds)
    told = model(soft_tokens=made.values, soft_token_mask=made.mask, **batch)
    valid = batch["attention_mask"].bool().unsqueeze(-1)
    golden.tensors["train.logits"] = given["train.logits"] * valid  # what is said of padding is nobody's
    golden.check("train.logits", told.logits * valid)
    golden.check("train.loss", told.loss[None])
    generates(golden, model, torch.tensor(asked[:1]), made)


def generates(golden, model, ids, made):
    for name in [name for name in golden.tensors if name.startswith("generate.beams")]:
        expected = golden.tensors[name]
        new = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            soft_tokens=made.values[:1],
            soft_token_mask=made.mask[:1],
            num_beams=int(name.removeprefix("generate.beams")),
            max_new_tokens=expected.shape[1],
            min_length=1,
            do_sample=False,
            pad_token_id=golden.about["tokens"]["pad"],
        )[:, ids.shape[1] :]
        ours = new[:, : expected.shape[1]]
        print(name, expected.tolist(), ours.tolist())
        assert torch.equal(ours, expected[:, expected.shape[1] - ours.shape[1] :]), name
