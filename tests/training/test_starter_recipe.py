"""The starter's own training: the objective "words", and its records rendered on the fly, at the tiny variant."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

from made_corpus import Tones, write_corpus  # noqa: E402

from earsight import recipes  # noqa: E402
from earsight.checkpoints.build import build_tiny  # noqa: E402
from earsight.data.starter import further_records  # noqa: E402
from earsight.data.starter import records as starter_records  # noqa: E402
from earsight.data.starter.rendering import Renderer, address  # noqa: E402
from earsight.errors import EarsightError  # noqa: E402
from earsight.model.conversation import Medium  # noqa: E402
from earsight.model.media_inputs import lay_out  # noqa: E402
from earsight.training import feature_store, samples  # noqa: E402
from earsight.training.alignment import ROLES, Words, ctc  # noqa: E402
from earsight.training.building import build  # noqa: E402
from earsight.training.feature_store import FeatureStore  # noqa: E402
from earsight.training.pairing import Books  # noqa: E402
from earsight.training.run import run  # noqa: E402
from earsight.training.stages import Source  # noqa: E402

FILES = ("pictures", "sounds", "films", "negatives", "speech", "word_lists", "composed", "further")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    renderer = Renderer(write_corpus(tmp_path_factory.mktemp("corpus")), Tones())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starter_records, "sentences", lambda *places: ["an owl sleeps", "a drum is heard"])
        patch.setattr(starter_records, "seldom_words", lambda *places: ["barn", "timpani"])
        patch.setattr(starter_records, "COMPOSED", dict.fromkeys(starter_records.COMPOSED, 2))
        patch.setattr(further_records, "FURTHER", dict.fromkeys(further_records.FURTHER, 2))
        patch.setattr(further_records, "NOISY", 2)
        patch.setattr(samples, "renderer_of", lambda root: renderer)
        folder = tmp_path_factory.mktemp("records")
        yield starter_records.write_starter_records(folder, renderer.corpus, folder)


def tiny(root, steps):
    recipe = recipes.get("starter/tiny")
    sources = {name: Source(f"{name}.jsonl") for name in FILES}
    stages = {
        "said": replace(
            recipes.get("starter").stages["said"],
            steps=3,
            batch_size=2,
            warmup_steps=1,
            sources={name: sources[name] for name in ("speech", "word_lists")},
        ),
        "words": replace(
            recipe.stages["words"],
            steps=steps,
            batch_size=6,
            sources={name: sources[name] for name in ("pictures", "sounds", "films", "composed", "speech")},
        ),
        "instruct": replace(recipe.stages["instruct"], steps=3, batch_size=6, sources=sources),
    }
    return replace(recipe, stages=stages, data=replace(recipe.data, root=str(root), cache_features="never"))


def test_both_stages_run_on_every_kind_of_rendered_record(root, tmp_path):
    model, processor = run(tiny(root, steps=3), tmp_path / "run", build)
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
    assert (tmp_path / "run" / "instruct" / "ledger.json").is_file()


def test_the_first_stage_brings_soft_tokens_nearer_to_the_words(root, tmp_path):
    import json

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    run(tiny(root, steps=40), tmp_path / "run", build)
    torch.set_num_threads(before)
    last = sorted((tmp_path / "run" / "words").glob("checkpoint-*"), key=lambda one: int(one.name.split("-")[1]))[-1]
    losses = [one["loss"] for one in json.loads((last / "trainer_state.json").read_text())["log_history"]]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def told():
    return [
        {"seen kind": "bird", "seen name": "owl"},
        {"seen kind": "fish", "seen name": "trout"},
        {"heard kind": ["nothing", "bird"], "number": ["no", "one"]},
        {"said": "an owl"},
    ]


def test_what_is_not_known_of_a_medium_is_not_trained(root):
    model, processor = build_tiny("starter")
    words = Words(model, processor.tokenizer, told())
    n_tokens = model.connector.config.tokens_per_window
    values = torch.randn(1, n_tokens, model.connector.llm_dim, requires_grad=True)

    class Made:
        mask = torch.ones(1, n_tokens, dtype=torch.bool)

    Made.values = values
    model.soft_tokens = lambda inputs: Made
    loss, parts, _ = words.loss(
        {"media_milliseconds": torch.tensor([1000])}, [{"seen kind": "bird", "seen name": "owl"}]
    )
    loss.backward()
    first = model.connector.config.first_query
    assert set(parts) == {"loss/seen name"} | {"loss/seen kind"}
    assert values.grad[:, first + ROLES["seen kind"]].any() and values.grad[:, first + ROLES["seen name"]].any()
    assert not values.grad[:, :first].any() and not values.grad[:, first + 2 :].any()


def test_the_speech_tokens_are_trained_alone_where_only_what_is_said_is_asked_for():
    model, processor = build_tiny("starter")
    words = Words(model, processor.tokenizer, told(), only_said=True)
    model.connector.requires_grad_(True)
    width = model.connector.speech.norm.normalized_shape[0]
    given = {
        "media_milliseconds": torch.tensor([2000]),
        "speech_features": torch.randn(1, 20, width),
        "speech_mask": torch.ones(1, 20, dtype=torch.bool),
    }
    loss, parts, _ = words.loss(given, [{"said": "an owl", "heard kind": "speech"}])
    loss.backward()
    assert set(parts) == {"loss/tokens said", "loss/letters said"}
    assert model.connector.speech.blank.grad.any() and not model.connector.query_tokens.grad.any()


def test_the_speech_tokens_write_what_they_were_trained_to_without_a_language_model():
    torch.manual_seed(17)
    model, processor = build_tiny("starter")
    told = [{"said": "an owl"}, {"said": "a drum"}]
    words = Words(model, processor.tokenizer, told, only_said=True)
    width = model.connector.speech.norm.normalized_shape[0]
    given = {
        "media_milliseconds": torch.tensor([2000, 2000]),
        "speech_features": torch.randn(2, 20, width),
        "speech_mask": torch.ones(2, 20, dtype=torch.bool),
    }
    model.connector.eval().speech.requires_grad_(True)
    optimizer = torch.optim.AdamW(model.connector.speech.parameters(), lr=1e-2)
    assert words.transcripts(given) != ["an owl", "a drum"]
    for _ in range(60):
        optimizer.zero_grad()
        words.loss(given, told)[0].backward()
        optimizer.step()
    assert words.transcripts(given) == ["an owl", "a drum"]


def test_moments_begin_as_numbers_and_trained_ones_stay():
    model, processor = build_tiny("starter")
    assert not model.connector.moments.any()
    words = Words(model, processor.tokenizer, told())
    one = model.get_input_embeddings().weight[words._ids("one")].mean(0)
    assert torch.allclose(model.connector.moments[1], one)
    model.connector.moments.data.fill_(7.0)
    Words(model, processor.tokenizer, told())
    assert model.connector.moments.eq(7.0).all()


def test_stored_features_are_counted_by_the_connector_that_reads_them(root, tmp_path):
    """Another connector of the same encoders shares what they said, not how many tokens it made of it."""
    renderer = samples.renderer_of(root)
    medium = Medium("video", renderer.source(address("composed", "train", "when", 0)))
    counts = {}
    for n_queries in (7, 3):
        model, processor = build_tiny("starter", values={"connector": {"n_queries": n_queries}})
        store = FeatureStore(tmp_path, model, processor)
        assert (store.key(medium) in store) == bool(counts), "the second finds what the first has stored"
        store.fill([medium], model)
        counts[n_queries] = store.get(store.key(medium)).laid.n_soft_tokens
        assert counts[n_queries] == lay_out(processor.clip(medium), processor.description).n_soft_tokens
    assert counts[7] > counts[3]


def test_a_stop_while_encoding_loses_little(root, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_store, "SHARD_MEDIA", 2)
    renderer = samples.renderer_of(root)
    media = [Medium("video", renderer.source(address("composed", "train", "when", number))) for number in range(5)]
    model, processor = build_tiny("starter")
    store = FeatureStore(tmp_path, model, processor)

    def stopped(what, done, of):
        if done == of:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.fill(media, model, stopped)
    after = FeatureStore(tmp_path, model, processor)
    assert [after.key(medium) in after for medium in media] == [True] * 4 + [False]


@pytest.mark.parametrize("stored", [False, True])
def test_a_rendered_sound_that_is_to_be_ignored_is_told_as_ignored_and_not_as_absent(root, tmp_path, stored):
    """As with files: else a training would teach that a clip without a sound track was ignored."""
    renderer = samples.renderer_of(root)
    picture, sound = renderer.corpus.of("picture", "train")[0], renderer.corpus.of("sound", "train")[0]
    at = renderer.source(address("picture", picture.id, 1))
    model, processor = build_tiny("starter")
    store = FeatureStore(tmp_path, model, processor)
    states = {}
    for audio, heard in ((None, "present"), ("ignore", "ignored")):
        medium = Medium("image", at, audio=audio, sound=renderer.source(address("sound", sound.id, 1)))
        if stored:
            store.fill([medium], model)
            states[heard] = store.get(store.key(medium)).laid.clip.sound
        else:
            states[heard] = processor.clip(medium).sound
    assert states == {"present": "present", "ignored": "ignored"}


def test_ctc_is_least_where_the_tokens_say_it():
    logits = torch.full((1, 6, 4), -5.0)
    for time, one in enumerate((0, 2, 2, 0, 3, 0)):
        logits[0, time, one] = 5.0
    lengths = torch.tensor([6])
    right, wrong = (float(ctc(logits, lengths, [target])) for target in ([2, 3], [3, 2]))
    assert right < 0.1 < wrong


def test_a_sentence_too_long_for_its_sound_costs_nothing():
    assert float(ctc(torch.zeros(1, 2, 5), torch.tensor([2]), [[1, 2, 3, 4]])) == 0.0


def test_grouping_by_length_shows_every_sample_once_and_pads_less(root):
    recipe = tiny(root, steps=3)
    stage = replace(recipe.stages["instruct"], steps=20, batch_size=4, group_by_length=True)
    _, processor = build_tiny("starter")
    books = Books.open(stage, root)
    grouped, plain = (
        samples.Samples(books, replace(stage, group_by_length=wanted), recipe.data, processor, seed=3)
        for wanted in (True, False)
    )
    order = [place for window in range(3) for place in grouped._order_of(window)]
    assert sorted(order) == list(range(80)) and order != list(range(80))
    again = samples.Samples(books, stage, recipe.data, processor, seed=3)
    assert again._order_of(1) == grouped._order_of(1)

    def padding(order):
        lengths = [[plain._length(place) for place in order[at : at + 4]] for at in range(0, 80, 4)]
        return sum(4 * max(batch) - sum(batch) for batch in lengths)

    assert padding(order) < 0.5 * padding(range(80))


def test_a_batch_that_is_passed_in_parts_keeps_its_samples_and_pads_less(root):
    recipe = tiny(root, steps=3)
    stage = replace(recipe.stages["instruct"], steps=10, batch_size=8, micro_batch_size=2, group_by_length=False)
    _, processor = build_tiny("starter")
    books = Books.open(stage, root)
    parted = samples.Samples(books, stage, recipe.data, processor, seed=3)
    order = [parted._placed(position) for position in range(80)]
    assert all(sorted(order[at : at + 8]) == list(range(at, at + 8)) for at in range(0, 80, 8))
    assert all(
        sorted(lengths) == lengths
        for at in range(0, 80, 8)
        if (lengths := [parted._length(one) for one in order[at : at + 8]])
    )
    assert order != list(range(80))


def test_a_source_holds_records_of_its_tasks_only(root):
    stage = recipes.get("starter").stages["instruct"]
    whole = Books.open(replace(stage, sources={"all": Source("composed.jsonl")}), root)
    some = Books.open(replace(stage, sources={"order": Source("composed.jsonl", tasks=("when", "coincide"))}), root)
    wanted = [record.id for record in whole.records["all"] if record.task in ("when", "coincide")]
    assert [record.id for record in some.records["order"]] == wanted and 0 < len(wanted) < len(whole.records["all"])


def test_a_limited_source_keeps_every_task_of_a_file_that_is_in_their_order(root):
    stage = recipes.get("starter").stages["instruct"]
    whole = Books.open(replace(stage, sources={"all": Source("composed.jsonl")}), root).records["all"]
    limit = len(whole) // 2
    some = Books.open(replace(stage, sources={"all": Source("composed.jsonl", limit=limit)}), root).records["all"]
    assert len({record.id for record in some}) == limit
    assert {record.task for record in some} == {record.task for record in whole}
    more = Books.open(replace(stage, sources={"all": Source("composed.jsonl", limit=10**6)}), root).records["all"]
    assert [record.id for record in more] == [record.id for record in whole]


def test_a_task_that_no_record_has_is_refused_and_the_others_named(root):
    stage = replace(
        recipes.get("starter").stages["instruct"], sources={"order": Source("composed.jsonl", tasks=("wen",))}
    )
    with pytest.raises(EarsightError, match=r"no record of the task wen \(sources.order.tasks\); it has: coincide, .*"):
        Books.open(stage, root)


def test_a_connector_with_too_few_query_tokens_for_what_is_told_is_refused():
    model, processor = build_tiny("starter", values={"connector": {"n_queries": 4}})
    with pytest.raises(EarsightError, match="needs 7 query tokens a window.* has 4"):
        Words(model, processor.tokenizer, told())


def test_a_file_without_records_says_how_to_do_without_it(root):
    stage = replace(recipes.get("starter/further").stages["further"], sources={"names": Source("names.jsonl")})
    with pytest.raises(
        EarsightError, match=r"names.jsonl: no record in it; .* leave it out with sources.names.weight=0"
    ):
        Books.open(stage, root)
