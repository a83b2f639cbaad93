"""video-SALMONN's connector: the causal block, one Q-Former, and the whole way from features to soft tokens."""

import torch
from torch import Tensor

from earsight.connectors.multi_resolution_qformer import (
    Level,
    MultiResolutionQFormer,
    MultiResolutionQFormerConfig,
    published_state,
)
from earsight.types import Extent, Features
from golden import Golden

RATE_HZ = 50.0
UNITS = {"causal_attention", "qformer"}  # traces of one part; every other group of tensors is a case


@torch.no_grad()
def compare(golden: Golden) -> None:
    connector = loaded(golden)
    compare_units(golden, connector)
    for case in sorted({name.split(".")[0] for name in golden.tensors} - UNITS):
        compare_case(golden, connector, case)


def compare_units(golden: Golden, connector: MultiResolutionQFormer) -> None:
    """The causal block of the first layer, then the whole Q-Former, on one window with padding."""
    index = next(i for i, size in enumerate(golden_sizes(golden)) if size == golden.about["config"]["groupsize"])
    qformer = connector.qformers[0 if connector.config.shared else index]
    given = golden.tensors.get("qformer.in")
    if given is None:
        return
    if "causal_attention.layer0_out" in golden.tensors:
        golden.check("causal_attention.layer0_out", qformer.causal_states(0, given))
    valid = golden.tensors["qformer.mask"] > 0
    queries = connector.query_tokens[index].expand(len(given), -1, -1)
    golden.check("qformer.out", qformer(queries, given, valid))


def compare_case(golden: Golden, connector: MultiResolutionQFormer, case: str) -> None:
    features = case_features(golden, case)
    n_media = len(next(iter(features.values())).values)
    steps = connector.steps(features, n_media)
    assert len(set(steps)) == 1, "media of one case are equally long"
    coarse = connector.config.steps_per_window[-1]
    joined = connector.join(features, n_media, -(-steps[0] // coarse) * coarse)
    windows = joined.unflatten(1, (-1, coarse)).flatten(0, 1).flatten(1, 2)
    valid = torch.arange(joined.shape[1]).lt(steps[0])[None, :, None].expand(joined.shape[:3])
    read = connector.read(windows, valid.unflatten(1, (-1, coarse)).flatten(0, 1).flatten(1, 2))
    made = connector(features, torch.zeros(n_media, dtype=torch.long))
    stored = {name.removeprefix(f"{case}.") for name in golden.tensors if name.startswith(f"{case}.")}
    known = {"video", "whisper", "beats", "mask", "queries", "diversity_loss", "out"}
    assert stored <= known, f"{case}: no comparison for {sorted(stored - known)}"
    # Some files hold the queries window by window, others medium by medium: the order is the same.
    queries = torch.cat(read, dim=-1).reshape(golden.tensors[f"{case}.queries"].shape)
    golden.check(f"{case}.queries", queries)
    golden.check(f"{case}.diversity_loss", made.losses["diversity"].reshape(1))
    golden.check(f"{case}.out", made.values)
    assert made.mask.all()
    counted = [connector.config.n_soft_tokens(extent(features, row)) for row in range(n_media)]
    assert counted == [golden.tensors[f"{case}.out"].shape[1]] * n_media


def case_features(golden: Golden, case: str) -> dict[str, Features]:
    """The stored inputs as features; a stream that the stored mask switches off is one the medium does not have."""
    positions = golden.about["video_tokens_per_frame"]
    video, whisper, beats = (golden.tensors[f"{case}.{name}"] for name in ("video", "whisper", "beats"))
    seen, heard = golden.tensors[f"{case}.mask"].bool().unbind(1)

    def features(values: Tensor, here: Tensor, rate_hz: float) -> Features:
        mask = here[:, None].expand(values.shape[:2])
        return Features(values * mask.view(*mask.shape, *[1] * (values.ndim - 2)), mask, rate_hz)

    return {
        "vision": features(video.unflatten(1, (-1, positions)), seen, 2.0),
        "speech": features(whisper, heard, RATE_HZ),
        "sound": features(beats, heard, RATE_HZ),
    }


def extent(features: dict[str, Features], row: int) -> Extent:
    steps = {name: int(given.mask[row].sum()) for name, given in features.items()}
    return Extent(0, steps, {name: given.rate_hz for name, given in features.items()})


def golden_sizes(golden: Golden) -> list[int]:
    """Steps in a window of each level, fine to coarse."""
    made_with = golden.about["config"]
    others = [made_with[name] for name in ("low", "high") if made_with.get(name)]
    return sorted({made_with["groupsize"], *others, *made_with.get("ext", [])})


def loaded(golden: Golden) -> MultiResolutionQFormer:
    """Our connector with the golden weights."""
    about, sizes, made_with = golden.about, golden.about["qformer"], golden.about["config"]
    step_seconds = about["audio_frames_per_video_frame"] / RATE_HZ
    audio_dim = golden.state["beats_pre_qformer_proj.weight"].shape[0]
    has_causal = any("encoder_causal_attention" in name for name in golden.state)
    flags = {**about, **made_with}
    switched_off = flags.get("noncausal") is True or any(
        flags.get(name) is False for name in ("causal", "causal_attention")
    )
    config = MultiResolutionQFormerConfig(
        step_seconds=step_seconds,
        positions=about["video_tokens_per_frame"],
        levels=tuple(
            Level(size * step_seconds, int(made_with["nq"] * size / made_with["groupsize"]))
            for size in golden_sizes(golden)
        ),
        shared=about.get("low_level_uses_joint_qformer_weights", True),
        causal="future" if has_causal and not switched_off else "none",
        audio_dim=audio_dim,
        hidden=sizes["hidden_size"],
        n_layers=sizes["num_hidden_layers"],
        n_heads=sizes["num_attention_heads"],
        intermediate=sizes["intermediate_size"],
        max_positions=about["position_rows"],
    )
    dims = {"vision": about["visual_dim"], "speech": about["whisper_dim"], "sound": about["beats_dim"]}
    connector = config.build(dims, about["llm_dim"])
    state, ignored = published_state(golden.state, config)
    assert all("_Qformer." in name for name in ignored), ignored
    connector.load_state_dict(state)
    return connector.eval()
