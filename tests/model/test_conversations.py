"""Several media and turns, words that switch senses, questions that encoders read, and what the context holds."""

import numpy as np
import pytest
import soundfile
import torch
from contract import BUILT, QUESTION, asked, make_clip, prepared, soft_tokens
from contract import build as build_anew

from earsight import systems
from earsight.errors import PromptError
from earsight.model.assistant import Assistant

READS = [name for name in BUILT if name == "video_salmonn/tiny"]
NARROW = {"language_model": {"max_position_embeddings": 512}}


def told(text="A reply."):
    return {"role": "assistant", "content": text}


def runs(model, ids):
    """Lengths of the runs of placeholders in a prompt."""
    marks = "".join("x" if one == model.config.media_token_id else " " for one in ids.tolist())
    return [len(run) for run in marks.split()]


def words(processor, ids):
    """A prompt without its placeholders, as text."""
    return processor.tokenizer.decode(ids[ids < processor.tokenizer.vocab_size])


def test_each_turns_clip_fills_its_own_slot(built):
    model, processor = built
    first, second, third = make_clip(2.0, seed=1), make_clip(4.6, seed=2), make_clip(3.0, seed=3)
    turns = [asked(first, question="One?"), told(), asked(second, third, question="Two?"), told(), asked(question="3?")]
    inputs = prepared(processor, turns)
    made = soft_tokens(model, processor, turns)
    assert runs(model, inputs["input_ids"][0]) == [len(one) for one in made] and len(made) == 3
    if not model.reads_question:
        alone = [soft_tokens(model, processor, clip)[0] for clip in (first, second, third)]
        torch.testing.assert_close(torch.cat(made), torch.cat(alone))
    embeds = model.splice(inputs["input_ids"], torch.cat(made))
    slots = inputs["input_ids"] == model.config.media_token_id
    assert torch.equal(embeds[slots], torch.cat(made))


def test_conversations_of_different_shapes_share_a_batch(built):
    model, processor = built
    first, second = make_clip(2.0, seed=1), make_clip(4.6, seed=2)
    members = [
        [asked(first, second)],
        [asked(second), told(), asked(question="And then?")],
        [asked(question="Hello."), told(), asked(first)],
    ]
    with torch.no_grad():
        together = model(**prepared(processor, *members)).logits[:, -1]
        for row, member in enumerate(members):
            alone = model(**prepared(processor, member)).logits[0, -1]
            torch.testing.assert_close(together[row], alone, rtol=0, atol=1e-4)


def test_modality_tokens_give_each_turn_of_a_conversation_its_own_view_of_the_video(build):
    model, processor = build("av_llm/tiny")
    clip = make_clip(4.0, n_frames=4)
    turns = [asked(clip, question="<VIS> What?"), told(), asked(question="<AUD> Hm?"), told()]
    turns += [asked(question="All of it: <AUD_VIS>")]
    inputs = prepared(processor, turns)
    t, n, k = 4, 4, 2  # frames, patches, segments
    assert runs(model, inputs["input_ids"][0]) == [t + n, k, t + n + k]
    seen, heard, both = soft_tokens(model, processor, turns)
    torch.testing.assert_close(both, torch.cat([seen, heard]))
    assert inputs["vision_medium"].tolist() == [0] * t + [2] * t
    assert inputs["sound_medium"].tolist() == [1] * k + [2] * k
    assert not any(token in words(processor, inputs["input_ids"][0]) for token in ("<VIS>", "<AUD>", "<AUD_VIS>"))


def test_an_encoder_whose_sense_is_switched_off_gets_nothing_to_do(build):
    model, processor = build("av_llm/tiny")
    for token, silent in (("<AUD>", "vision"), ("<VIS>", "sound")):
        inputs = prepared(processor, [asked(make_clip(4.0), question=f"{token} What?")])
        assert f"{silent}_values" not in inputs and set(model.encode(inputs)) == {"vision", "sound"} - {silent}
        ran = []
        hook = model.encoders[silent].register_forward_hook(lambda *_, ran=ran: ran.append(1))
        Assistant(model, processor).ask(make_clip(4.0), f"{token} What?", max_new_tokens=1)
        hook.remove()
        assert ran == []


def test_a_modality_token_cannot_give_a_medium_a_sense_that_it_has_not(build):
    _, processor = build("av_llm/tiny")
    parts = [{"type": "audio", "audio": make_clip(4.0)}, {"type": "text", "text": "<AUD_VIS> What?"}]
    inputs = prepared(processor, [{"role": "user", "content": parts}])
    assert "sound_values" in inputs and "vision_values" not in inputs, "an audio part shows nothing"


def test_a_modality_token_before_any_medium_is_refused_and_other_words_in_brackets_stay(build):
    model, processor = build("av_llm/tiny")
    with pytest.raises(PromptError, match="<VIS> stands before any medium"):
        prepared(processor, [asked(question="<VIS> What?"), told(), asked(make_clip())])
    ids = prepared(processor, [asked(make_clip(4.0), question="<TASTE> or <vis>?")])["input_ids"][0]
    assert "<TASTE> or <vis>?" in words(processor, ids) and len(runs(model, ids)) == 1
    _, other = build("dolphin/tiny")
    ids = prepared(other, [asked(make_clip(), question="<VIS> what?")])["input_ids"][0]
    assert "<VIS> what?" in words(other, ids), "another system has no such tokens"


@pytest.mark.parametrize("name", BUILT)
def test_only_a_system_that_reads_the_question_makes_other_tokens_of_another_one(build, name):
    model, processor = build(name)
    clip = make_clip(4.0)
    first, second = (soft_tokens(model, processor, [asked(clip, question=q)])[0] for q in ("A dog?", "A car, then?"))
    assert first.shape == second.shape and torch.equal(first, second) == (name not in READS)
    if name in READS:
        heard = [{"type": "audio", "audio": clip}]
        turns = [[{"role": "user", "content": [*heard, {"type": "text", "text": q}]}] for q in ("A dog?", "A car?")]
        assert torch.equal(*(soft_tokens(model, processor, one)[0] for one in turns)), "sound is not asked anything"


def test_each_turn_is_read_for_its_own_question(build):
    model, processor = build("video_salmonn/tiny")
    clip = make_clip(3.0)
    turns = [asked(clip, question="A dog?"), told(), asked(clip, question="A car, then?")]
    alone = [soft_tokens(model, processor, [one])[0] for one in (turns[0], turns[2])]
    torch.testing.assert_close(torch.cat(soft_tokens(model, processor, turns)), torch.cat(alone))


def test_questions_in_a_chat_get_the_answers_they_get_alone(built):
    assistant, clip = Assistant(*built), make_clip(4.0)
    chat = assistant.chat(clip)
    for question in ("What is it?", "A car, then, or what?", "What is it?"):
        fresh = assistant.ask(clip, question, max_new_tokens=5, explain=True)
        again = chat.ask(question, max_new_tokens=5, explain=True)
        assert again.text == fresh.text and again.n_tokens == fresh.n_tokens
        assert again.evidence.full == pytest.approx(fresh.evidence.full, abs=1e-5)


def test_a_chat_switches_senses_with_each_question(build):
    assistant, clip = Assistant(*build("av_llm/tiny")), make_clip(4.0)
    chat = assistant.chat(clip)
    missing = {"<AUD> What?": ("picture: ignored",), "<VIS> What?": ("sound: ignored",), "What?": ()}
    for question in (*missing, *missing):
        again, fresh = chat.ask(question, max_new_tokens=5), assistant.ask(clip, question, max_new_tokens=5)
        assert again.text == fresh.text and again.missing == fresh.missing == missing[question]


@pytest.fixture
def long_wav(tmp_path):
    path = tmp_path / "long.wav"
    tone = np.sin(np.arange(200 * 4000) * 0.6).astype(np.float32) * 0.3
    soundfile.write(path, tone, 4000)
    return str(path)


@pytest.mark.parametrize(
    ("name", "values", "seconds"),
    [
        ("salmonn/tiny", {}, 130),  # a token each 0.34 s in 384 of 512 tokens
        ("video_salmonn/tiny", {}, 192),  # 2 a second
        ("starter/tiny", {"max_seconds": None}, 21),  # 18 a second
        ("starter/tiny", {}, 20),  # its own limit
    ],
)
def test_a_small_context_reads_only_the_part_of_a_clip_that_fits_and_says_so(long_wav, name, values, seconds):
    model, processor = build_anew(name, **NARROW, **values)
    answer = Assistant(model, processor).ask(long_wav, QUESTION, max_new_tokens=2)
    assert answer.heard == f"{seconds:.1f} s of sound"
    notes = [note for note in answer.notes if f"first {seconds} s of 200.0 s were used" in note]
    assert len(notes) == (seconds < 200)


@pytest.mark.parametrize("name", [f"{one}/tiny" for one in systems.names()])
def test_a_question_beyond_the_context_is_refused_by_chat_and_processor_alike(name):
    model, processor = build_anew(name, **NARROW)
    question = "What is it, please? " * 30
    with pytest.raises(PromptError, match="at most 512 fit"):
        Assistant(model, processor).ask(make_clip(), question, max_new_tokens=1)
    with pytest.raises(PromptError, match="at most 512 fit"):
        prepared(processor, [asked(make_clip(), question=question)])
