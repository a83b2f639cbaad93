"""A run asks everything once, in batches that answer as one would alone, and goes on where it stopped."""

import json

import contract
import pytest
from made_benchmark import dozen, record

from earsight.errors import EarsightError
from earsight.evaluation import benchmark as benchmarks
from earsight.evaluation import runner
from earsight.evaluation.conditions import CONDITIONS, messages_under
from earsight.evaluation.replies import Replies, Reply
from earsight.model.assistant import Assistant

RUN = {"model": "tiny", "weights": "w", "benchmark": "dozen", "digest": "d", "settings": {}}


class Counted(runner.Asker):
    """Counts what the model is asked."""

    answered = 0

    def answer(self, samples):
        Counted.answered += len(samples)
        return super().answer(samples)


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.setattr(runner, "Asker", Counted)
    Counted.answered = 0
    return Counted


def answered(assistant, benchmark, wanted, replies=None, **options):
    replies = replies or Replies()
    runner.run(assistant, benchmark, wanted, replies, **options)
    return replies


def test_a_batch_answers_every_record_as_it_is_answered_alone(assistant, benchmark):
    wanted = runner.asks(benchmark.records, list(CONDITIONS))
    together = answered(assistant, benchmark, wanted, batch_size=16)
    alone = answered(assistant, benchmark, wanted, batch_size=1)
    assert {key: one.reply for key, one in together.made.items()} == {k: one.reply for k, one in alone.made.items()}
    assert len({one.reply for one in alone.made.values()}) > 8, "a model that always says the same would pass"
    for key, one in together.made.items():
        assert one.logprob == pytest.approx(alone.made[key].logprob, abs=2e-4)
        assert 1 <= one.n_tokens <= 6 and one.logprob < 0


@pytest.mark.parametrize("name", [name for name in contract.BUILT if name.endswith("/tiny")])
def test_every_system_answers_under_every_condition_in_batches_as_alone(benchmark, name):
    other = Assistant(*contract.build(name))
    wanted = runner.asks(benchmark.chosen(["picture_name", "sound_kind", "matching"], limit=1), list(CONDITIONS))
    together, alone = (answered(other, benchmark, wanted, batch_size=size).made for size in (16, 1))
    assert {key: one.reply for key, one in together.items()} == {key: one.reply for key, one in alone.items()}
    assert not any(one.failed for one in together.values())


def test_beams_answer_too_without_saying_how_sure_they_are(assistant, benchmark):
    asker = runner.Asker(assistant, benchmark)
    asker.generation["num_beams"] = 2
    samples = [made for _, made in asker.prepared(runner.asks(benchmark.records[:3], ["full"]))]
    told = asker.answer(samples)
    assert [one["logprob"] for one in told] == [None] * 3 and all(one["n_tokens"] > 0 for one in told)


def test_the_prompt_is_the_one_that_asking_makes(assistant, benchmark):
    (one,) = benchmark.chosen(["matching"], limit=1)
    asker = runner.Asker(assistant, benchmark)
    ((_, made),) = asker.prepared([runner.Ask("full", one)])
    content = [{"type": "video", "path": str(benchmark.folder / "media/0.mp4")}, one.messages[0]["content"][1]]
    turns = [{"role": "user", "content": content}]
    usual = assistant.processor.apply_chat_template(turns, tokenize=True, add_generation_prompt=True)
    assert list(made.ids) == usual["input_ids"][0].tolist()
    ids = assistant.model.generate(**usual, max_new_tokens=6, do_sample=False)[0, len(made.ids) :]
    reply = assistant.processor.tokenizer.decode(ids, skip_special_tokens=True).strip()
    assert asker.answer([made])[0]["reply"] == reply


def test_a_mean_log_probability_is_that_of_the_replys_tokens(assistant, benchmark):
    import torch

    asker = runner.Asker(assistant, benchmark)
    ((_, made),) = asker.prepared([runner.Ask("full", benchmark.records[0])])
    batch = asker._batch([made])
    told = assistant.model.generate(
        **batch, **asker.generation, return_dict_in_generate=True, output_logits=True, eos_token_id=[]
    )
    new = told.sequences[0, batch["input_ids"].shape[1] :]
    each = [float(torch.log_softmax(one[0].float(), -1)[t]) for one, t in zip(told.logits, new, strict=True)]
    (reply,) = asker.answer([made])
    assert reply["logprob"] == pytest.approx(sum(each[: reply["n_tokens"]]) / reply["n_tokens"], abs=1e-4)


def test_features_kept_on_disk_change_no_answer_and_are_made_once(assistant, benchmark, tmp_path, monkeypatch):
    wanted = runner.asks(benchmark.records, ["full", "sound only"])
    plain = answered(assistant, benchmark, wanted)
    kept = answered(assistant, benchmark, wanted, store_folder=tmp_path / "features", batch_size=3)
    assert {k: one.reply for k, one in plain.made.items()} == {k: one.reply for k, one in kept.made.items()}

    def decoded(self, medium, *more):
        raise AssertionError(f"{medium} was decoded again")

    monkeypatch.setattr(type(assistant.processor), "clip", decoded)
    again = answered(assistant, benchmark, wanted, store_folder=tmp_path / "features")
    assert again.made.keys() == kept.made.keys() and not any(one.failed for one in again.made.values())


def test_a_resumed_run_asks_nothing_twice(assistant, benchmark, tmp_path, counted):
    wanted = runner.asks(benchmark.records, ["full", "text only"])
    replies = Replies.open(tmp_path / "run", RUN)
    answered(assistant, benchmark, wanted[:7], replies, batch_size=2)
    replies.close()
    with (tmp_path / "run" / "replies.jsonl").open("ab") as file:
        file.write(b'{"condition": "full", "id": "torn')
    replies = Replies.open(tmp_path / "run", RUN)
    n_asked = runner.run(assistant, benchmark, wanted, replies, batch_size=5)
    replies.close()
    assert (n_asked, counted.answered) == (len(wanted) - 7, len(wanted))
    assert runner.run(assistant, benchmark, wanted, Replies.open(tmp_path / "run", RUN)) == 0
    assert counted.answered == len(wanted)
    lines = [json.loads(line) for line in (tmp_path / "run" / "replies.jsonl").read_text().splitlines()]
    assert sorted((one["condition"], one["id"]) for one in lines) == sorted(ask.key for ask in wanted)
    assert {key: one.reply for key, one in answered(assistant, benchmark, wanted).made.items()} == {
        (one["condition"], one["id"]): one["reply"] for one in lines
    }


def test_an_interrupted_run_keeps_what_was_answered(assistant, benchmark, tmp_path, monkeypatch):
    wanted, replies, answer = runner.asks(benchmark.records, ["full"]), Replies.open(tmp_path / "run", RUN), []

    def interrupted(self, samples):
        answer.append(samples)
        if len(answer) == 3:
            raise KeyboardInterrupt
        return [{"reply": "x", "logprob": -1.0, "n_tokens": 1, "cut": False} for _ in samples]

    monkeypatch.setattr(runner.Asker, "answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.run(assistant, benchmark, wanted, replies, batch_size=2)
    replies.close()
    assert len(Replies.read(tmp_path / "run").made) == 4


@pytest.mark.parametrize("cached", [False, True])
def test_a_medium_that_fails_is_kept_with_its_reason_and_the_rest_goes_on(assistant, write, tmp_path, cached):
    folder = write(name="broken")
    for name in ("1.mp4", "0.wav"):
        (folder / "media" / name).write_bytes(b"not a film")
    benchmark = benchmarks.load(folder)
    wanted = runner.asks(benchmark.records, ["full", "white noise"])
    store = tmp_path / "features" if cached else None
    told = answered(assistant, benchmark, wanted, store_folder=store, batch_size=4).made
    failed = {key for key, one in told.items() if one.failed}
    assert {name for _, name in failed} == {"matching/1", "sound_kind/0", "transcribe/0"}
    assert {condition for condition, _ in failed} == {"full", "white noise"}
    assert told.keys() == {ask.key for ask in wanted}
    assert len({told[key].failed for key in failed}) == 1, "one reason, without the file's name"
    assert all(told[key].reply is None for key in failed)


def test_several_media_and_turns_are_asked_in_their_order(assistant, write):
    first = dozen()[2]
    parts = [{"type": "image", "path": "media/0.png"}, {"type": "audio", "path": "media/1.wav"}]
    again = {"role": "user", "content": [*parts, {"type": "text", "text": "And these?"}]}
    turns = [*first.messages, again, {"role": "assistant", "content": "Yes."}]
    benchmark = benchmarks.load(write([first.__class__("long", "s", "matching", turns)]))
    asker = runner.Asker(assistant, benchmark)
    wanted = [runner.Ask(one, benchmark.records[0]) for one in ("full", "sound only")]
    full, heard = [made for _, made in asker.prepared(wanted)]
    text = assistant.processor.tokenizer.decode(full.ids)
    assert [one.clip.picture for one in full.laid] == ["present", "present", "absent"]
    assert [one.clip.picture for one in heard.laid] == ["ignored", "ignored", "absent"]
    assert [one.clip.sound for one in heard.laid] == ["present", "absent", "present"]
    assert text.index("Yes.") < text.index("And these?") and text.count("Yes.") == 1, "the last answer is not told"
    assert [len(one["reply"]) > 0 for one in asker.answer([full, heard])] == [True, True]
    assert messages_under("text only", turns)[2]["content"] == [{"type": "text", "text": "And these?"}]


def test_a_prompt_beyond_the_context_is_kept_as_failed(assistant, write, monkeypatch):
    benchmark = benchmarks.load(write([record("matching", 0, {"type": "image", "path": "media/0.png"}, "Q?", "No.")]))
    monkeypatch.setattr(assistant.processor, "context_tokens", 5)
    told = answered(assistant, benchmark, runner.asks(benchmark.records, ["full"]))
    assert "longer than the language model's 5 tokens" in told["full", "matching/0"].failed


def test_a_folder_of_another_run_is_refused_with_what_differs(tmp_path):
    Replies.open(tmp_path / "run", RUN).close()
    for changed, words in (
        ({"weights": "v"}, "replies of another model (tiny)"),
        ({"benchmark": "score"}, "another benchmark (dozen)"),
        ({"digest": "e"}, "another version of dozen"),
        ({"settings": {"dtype": "float16"}}, "other settings"),
    ):
        with pytest.raises(EarsightError) as refused:
            Replies.open(tmp_path / "run", RUN | changed)
        assert words in str(refused.value)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(EarsightError, match="holds other files"):
        Replies.open(tmp_path / "other", RUN)


def test_a_line_that_is_no_reply_is_refused_and_left_alone(tmp_path):
    Replies.open(tmp_path, RUN).close()
    (tmp_path / "replies.jsonl").write_text("my own notes\n")
    with pytest.raises(EarsightError, match=r"replies\.jsonl:1: not a reply"):
        Replies.open(tmp_path, RUN)
    assert (tmp_path / "replies.jsonl").read_text() == "my own notes\n"


def test_replies_of_odd_text_come_back_whole(tmp_path):
    odd = Reply("full", "a/1", "matching", 'line\nbreak | "\u2028" \ud800'.encode("utf-8", "replace").decode(), -0.5, 3)
    replies = Replies.open(tmp_path, RUN)
    replies.append(odd)
    replies.close()
    assert Replies.read(tmp_path / "replies.jsonl")["full", "a/1"] == odd


def test_a_models_identity_is_its_weights_not_its_place(model_folder, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(model_folder, copy)
    assert runner.identity(str(copy)) == runner.identity(str(model_folder))
    (weights,) = copy.glob("*.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert runner.identity(str(copy)) != runner.identity(str(model_folder))
    with pytest.raises(EarsightError, match="no such model folder"):
        runner.identity(str(tmp_path / "none"))
