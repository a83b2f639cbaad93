"""What is taken away or changed, one thing at a time, and what the papers found. Data only.

A group is one table or figure of a paper. Its first variant is whole: the others are compared with it, or with the one
they name. Settings are those of recipes (`earsight train NAME ...`); abilities are those of the starter's validation
benchmark, with the column of the paper that each stands beside: the nearest there is, never the same test.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from earsight.errors import EarsightError
from earsight.evaluation.ablation_design import Group, Measure, Variant
from earsight.evaluation.conditions import FULL

STORY_WORDS, STORY_TOLD = "story_words", "story_told"  # measured on stories, see `ablation_measures`


ASR = Measure("transcribe_trained_voices", "ASR", lower_is_better=True)
SENSES = {"sounds": 1.0, "pictures": 1.0, "films": 1.0}


def _levels(*levels: tuple[float, int], **more: Any) -> dict[str, Any]:
    made = tuple({"window_seconds": seconds, "n_queries": queries} for seconds, queries in levels)
    return {"values": {"connector": {"levels": made, **more}}}


def _table_4(asr: float, ocr: float, video_qa: float, avqa: float, avm: float) -> dict[str, float]:
    return {"ASR": asr, "OCR": ocr, "Video QA": video_qa, "AVQA": avqa, "AVM": avm}


def _read_at_the_connector(
    group: Group, columns: Mapping[str, str], *notes: str, the_same: Sequence[str] = ()
) -> Group:
    """The group's variants after the stage towards words alone: {what is read of the tokens: the paper's column}.

    Variants that are `the_same` there as the whole, for the order of tokens is nothing to that stage, are left out.
    """
    variants = []
    for one in group.variants:
        if one.name in the_same:
            continue
        settings = {name: some for name, some in one.settings.items() if name != "stages"}
        if words := {name: some for name, some in one.settings.get("stages", {}).items() if name == "words"}:
            settings["stages"] = words
        paper = {name: number for name, number in one.paper.items() if name in columns.values()}
        if settings or not one.settings:  # else it is a matter of the stage that follows
            variants.append(replace(one, settings=settings, paper=paper))
    return replace(
        group,
        name=f"{group.name}-tokens",
        title=f"{group.title}, read at the connector's end",
        measures=tuple(Measure(f"tokens: {role}", column) for role, column in columns.items()),
        variants=tuple(variants),
        tokens_alone=True,
        notes=(
            *group.notes,
            "Without a language model: the soft tokens are read as words, of several hundred validation media that are "
            "rendered for it.",
            *notes,
        ),
    )


NO_DIVERSITY = {"stages": {stage: {"losses": {"diversity": 0.0}} for stage in ("words", "instruct")}}
TINY_NO_DIVERSITY = {"stages": {"instruct": NO_DIVERSITY["stages"]["instruct"]}}
WHOLE_CLIP = {"causal": "none", "max_positions": 160}
TINY_WHOLE_CLIP = {"causal": "none", "max_positions": 1024}
VIDEO_SALMONN = Group(
    name="video-salmonn",
    title="The parts of video-SALMONN",
    paper="video-SALMONN, table 4",
    recipe="video_salmonn",
    sources={**SENSES, "speech": 0.5, "composed": 4.0},
    measures=(
        ASR,
        Measure("picture_kind", "OCR"),
        Measure("which_side", "Video QA"),
        Measure("which_first", "AVQA"),
        Measure("matching", "AVM"),
    ),
    variants=(
        Variant("full", paper=_table_4(2.6, 37.8, 49.6, 60.2, 79.7)),
        Variant(
            "without the coarse level",
            _levels((1.0, 4)),
            tiny=_levels((0.5, 1)),
            paper=_table_4(2.5, 35.4, 47.2, 57.2, 77.5),
        ),
        Variant(
            "without the fine level",
            _levels((4.0, 16)),
            tiny=_levels((1.5, 3)),
            paper=_table_4(2.9, 37.1, 49.9, 58.9, 80.6),
        ),
        Variant(
            "without mixing",
            {"stages": {"instruct": {"pairing": "one sense a batch"}}},
            paper=_table_4(2.6, 34.0, 46.9, 54.0, 75.3),
        ),
        Variant(
            "without diversity loss", NO_DIVERSITY, tiny=TINY_NO_DIVERSITY, paper=_table_4(2.5, 36.8, 49.3, 53.5, 78.6)
        ),
        Variant(
            "without the MRC Q-Former",
            _levels((16.0, 32), **WHOLE_CLIP),
            tiny=_levels((16.0, 8), **TINY_WHOLE_CLIP),
            paper=_table_4(3.3, 34.6, 42.7, 45.3, 74.5),
        ),
        Variant(
            "without the MRC Q-Former, synchronisation and diversity loss",
            {**_levels((16.0, 32), **WHOLE_CLIP, synchronised=False), **NO_DIVERSITY},
            tiny={**_levels((16.0, 8), **TINY_WHOLE_CLIP, synchronised=False), **TINY_NO_DIVERSITY},
            paper=_table_4(3.1, 34.7, 36.0, 44.6, 72.0),
        ),
    ),
    notes=(
        "In place of the multi-resolution causal Q-Former one without causal attention reads the whole clip with 32 "
        "queries, as Video-LLaMA's: two soft tokens a second, where the others have four. Without synchronisation it "
        "reads picture and sound one after the other.",
    ),
)


VIDEO_SALMONN_TOKENS = _read_at_the_connector(
    VIDEO_SALMONN,
    {"seen kind": "OCR", "place": "Video QA", "together": "AVQA", "heard kind": ""},
    "Together: of the second in which a sound begins, whether something appears with it. ASR and matching cannot be "
    "read so.",
)


def _table_5(msrvtt: float, activitynet: float, avssd: float, music: float) -> dict[str, float]:
    return {"MSRVTT-QA": msrvtt, "ActivityNet-QA": activitynet, "AVSSD": avssd, "MUSIC-AVQA": music}


AV_LLM = Group(
    name="av-llm",
    title="Modality-augmented training against plain training",
    paper="Audio-Visual LLM, table 5",
    recipe="av_llm",
    sources={**SENSES, "composed": 4.0},
    measures=(
        Measure("picture_kind", "MSRVTT-QA"),
        Measure("which_side", "ActivityNet-QA"),
        Measure("sound_kind", "AVSSD"),
        Measure("which_first", "MUSIC-AVQA"),
    ),
    variants=(
        Variant("MAT: sound, picture and both in every batch", paper=_table_5(60.4, 50.6, 48.3, 47.9)),
        Variant(
            "PT1: joint, then apart",
            {"stages": {"instruct": {"pairing": "joint then apart"}}},
            paper=_table_5(56.7, 45.3, 43.6, 43.5),
        ),
        Variant(
            "PT2: apart, then joint",
            {"stages": {"instruct": {"pairing": "apart then joint"}}},
            paper=_table_5(58.3, 48.1, 45.1, 45.4),
        ),
    ),
)
MAT = f"av-llm/{AV_LLM.variants[0].name}"


def _frames(count: int, sign: int | None) -> Variant:
    says = {} if sign is None else {"MSRVTT-QA": sign, "ActivityNet-QA": sign}
    return Variant(f"{count} frames", {"values": {"n_frames": count}}, weights=MAT, at=count, says=says)


FRAMES = Group(
    name="frames",
    title="Frames of a clip",
    paper="Audio-Visual LLM, figure 6",
    measures=(Measure("which_first", "MSRVTT-QA"), Measure("coincide", "ActivityNet-QA")),
    variants=(_frames(8, None), _frames(4, -1), _frames(16, 1), _frames(32, 1), _frames(64, 1)),
    axis="frames",
    notes=(
        "One model trained with 8 frames, tested with others. The tests last 7 to 9 s at 4 frames a second, the "
        "paper's 15 and 180 s: beyond about 32 frames pictures repeat. The paper's figure rises to 32 and then less.",
    ),
)


def _segments(count: int, sign: int | None) -> Variant:
    says = {} if sign is None else {"MSRVTT-QA": sign, "ActivityNet-QA": sign}
    settings = {"values": {"encoders": {"audio": {"n_segments": count}}}}
    tiny = {"values": {"encoders": {"sound": {"n_segments": count}}}}
    return Variant(f"{count} segments", settings, tiny=tiny, weights=MAT, at=count, says=says)


SEGMENTS = Group(
    name="segments",
    title="Segments of sound",
    paper="Audio-Visual LLM, figure 7",
    measures=(Measure("sound_kind", "MSRVTT-QA"), Measure("when", "ActivityNet-QA")),
    variants=(_segments(4, None), _segments(1, -1), _segments(2, -1), _segments(8, 0), _segments(16, 0)),
    axis="segments",
    notes=("One model trained with 4 segments, tested with others. The paper's figure is flat from about 4.",),
)


def _table_5a(avu: float, ave: float) -> dict[str, float]:
    return {"AVU": avu, "AVE": ave}


def _dolphin(name: str, part: str, switch: str, avu: float, ave: float) -> Variant:
    return Variant(f"without {name}", {"values": {"connector": {part: {switch: False}}}}, paper=_table_5a(avu, ave))


DOLPHIN = Group(
    name="dolphin",
    title="The parts of Dolphin",
    paper="Dolphin, table 5a",
    recipe="dolphin",
    sources={**SENSES, "negatives": 0.4, "composed": 4.0},
    settings={"values": {"n_frames": 4}},
    measures=(Measure("matching", "AVU"), Measure("coincide", "AVE"), Measure("sound_kind")),
    variants=(
        Variant("full", paper=_table_5a(78.2, 52.1)),
        _dolphin("inter-modal exchange", "adapter", "exchange", 77.6, 51.8),
        _dolphin("the audio-visual adapter", "adapter", "enabled", 75.4, 51.6),
        _dolphin("contextual attention", "merging", "contextual", 76.1, 50.3),
        _dolphin("interleaving", "merging", "interleaved", 32.3, 22.6),
    ),
    notes=(
        "Four frames instead of eight. Without interleaving all visual tokens come before all audio tokens; the paper "
        "does not say what its row without audio-visual interleaved merging does instead.",
    ),
)


DOLPHIN_TOKENS = _read_at_the_connector(
    DOLPHIN,
    {"heard kind": "AVU", "seen kind": "AVE", "place": ""},
    "Interleaving orders the tokens and leaves each as it is: there is nothing of it to be read here.",
    the_same=("without interleaving",),
)


def _activation(steps: int, after: str, paper: dict[str, float]) -> Variant:
    return Variant(f"{steps} steps", weights="activation/12 steps", after=after, at=steps, paper=paper)


def _table_3(asr: float, aac: float, sqqa: float, words: float, told: float) -> dict[str, float]:
    return {"ASR": asr, "AAC": aac, "SQQA": sqqa, "Story": words, "Story FR": told}


STORIES = (Measure(STORY_WORDS, "Story"), Measure(STORY_TOLD, "Story FR"))
HEARING = (ASR, Measure("sound_kind", "AAC"), Measure("when", "SQQA"), *STORIES)
ACTIVATION = Group(
    name="activation",
    title="Activation tuning",
    paper="SALMONN, table 3 and figure 2",
    recipe="salmonn",
    sources={"sounds": 1.0, "speech": 1.0},
    settings={"stages": {"activate": {"learning_rate": 1e-3}}},
    tiny={"stages": {"activate": {"steps": 12, "writes": {"n_samples": 12}}}},
    measures=HEARING,
    variants=(
        Variant("12 steps", at=12, paper=_table_3(2.1, 40.3, 0.41, 82.57, 1.0)),
        _activation(0, "instruct", _table_3(2.1, 47.6, 0.19, 7.77, 0.0)),
        _activation(4, "activate/checkpoint-4", {}),
        _activation(8, "activate/checkpoint-8", {}),
    ),
    axis="steps of activation tuning",
    notes=(
        "The steps are taken at the rate of the stage before them, 1e-3: chosen on these very records, for at the "
        "published 3e-5 twelve of them moved no score beyond noise (one seed, of which the results were not kept). "
        "When a sound begins was never trained here: it stands beside spoken questions, untrained in the paper. A "
        "story counts as told from 20 words; story_words counts its different words.",
    ),
)


def _lora(scale: float, says: Mapping[str, int] | None = None) -> Variant:
    use = {"weights": "activation/12 steps", "after": "instruct", "lora_scale": scale / 4.0}
    return Variant(f"LoRA scale {scale:g}", at=scale, says=says or {}, **use)  # type: ignore[arg-type]


EMERGES = {"Story": 1, "Story FR": 1, "SQQA": 1}
LORA_SCALE = Group(
    name="lora-scale",
    title="A discounted LoRA",
    paper="SALMONN, figure 3",
    measures=HEARING,
    variants=(_lora(4.0), _lora(0.0), _lora(0.5), _lora(1.0), _lora(2.0, EMERGES), _lora(3.0)),
    axis="LoRA scale (4 as trained)",
    notes=("Without activation tuning. The paper: abilities that were not trained emerge at a scale of about 2.",),
)


def _noise(system: str, weights: str, says: int | None) -> tuple[Variant, Variant]:
    told = {} if says is None else {"white noise": says}
    noisy = Variant(f"{system}, white noise", weights=weights, condition="white noise", against=system, says=told)
    return Variant(system, weights=weights), noisy


WHITE_NOISE = Group(
    name="white-noise",
    title="Sound replaced by white noise",
    paper="Dolphin, figure 1",
    moved="Dolphin",
    measures=tuple(Measure(one, "white noise") for one in ("sound_kind", "matching", "coincide")),
    variants=(
        *_noise("Dolphin", "dolphin/full", -1),
        *_noise("Audio-Visual LLM", MAT, None),
        *_noise("video-SALMONN", "video-salmonn/full", None),
    ),
    notes=(
        "The paper: replies of models that only put the senses' tokens side by side stay as they are under white "
        "noise; Dolphin's do not. It gives no numbers.",
    ),
)

WORDS_FIRST = Group(
    name="words-first",
    title="Steps towards words before those towards answers",
    paper="in none of the papers",
    recipe="video_salmonn",
    sources=VIDEO_SALMONN.sources,
    measures=tuple(Measure(one) for one in ("picture_kind", "sound_kind", "which_first")),
    variants=(
        Variant("words, then answers", weights="video-salmonn/full"),
        # In place of 400 steps of the connector alone, 40 more of the whole: 17 minutes on a core beside 20.
        Variant("answers alone", {"stages": {"words": {"steps": 1}, "instruct": {"steps": 160}}}, tiny={}),
    ),
)

GROUPS = (
    VIDEO_SALMONN,
    VIDEO_SALMONN_TOKENS,
    AV_LLM,
    FRAMES,
    SEGMENTS,
    DOLPHIN,
    DOLPHIN_TOKENS,
    ACTIVATION,
    LORA_SCALE,
    WHITE_NOISE,
    WORDS_FIRST,
)


def chosen(names: Sequence[str] = ()) -> list[Group]:
    """Groups by name, in the table's order; none named: all.

    Raises:
        EarsightError: an unknown group, with the nearest.
    """
    known = {one.name: one for one in GROUPS}
    plain = [name.strip().lower().replace("_", "-") for name in names]
    for name in plain:
        if name not in known:
            near = "".join(f"; did you mean {one}?" for one in get_close_matches(name, known, 1))
            raise EarsightError(f"no group '{name}'; there are: {', '.join(known)}{near}")
    return [group for group in GROUPS if not plain or group.name in plain]


def whole(group: Group, variant: Variant) -> Variant:
    """The variant that this one is compared with; itself where it is the whole."""
    if variant.against:
        return next(one for one in group.variants if one.name == variant.against)
    alone = variant.condition == FULL and any(one.against == variant.name for one in group.variants)
    return variant if alone else group.variants[0]


def trained_by(group: Group, variant: Variant) -> tuple[Group, Variant]:
    """Whose training a variant reads: its own, or that of the one it names."""
    if not variant.weights:
        return group, variant
    name, _, other = variant.weights.partition("/")
    found = next(one for one in GROUPS if one.name == name)
    return found, next(one for one in found.variants if one.name == other)


def read_after(group: Group, variant: Variant) -> set[str]:
    """STAGE/checkpoint-N of a training that any variant of the table reads."""
    uses = [one for some in GROUPS for one in some.variants if one.weights == f"{group.name}/{variant.name}"]
    return {one.after for one in uses if "/" in one.after}


def slug(name: str) -> str:
    """A name as that of a folder: "MAT: sound" -> "mat-sound"."""
    words = "".join(letter if letter.isalnum() else " " for letter in name.lower()).split()
    return "-".join(words)
