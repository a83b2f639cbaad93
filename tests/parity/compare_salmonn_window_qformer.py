"""SALMONN's connector, from what Whisper and BEATs give to what the language model gets."""

import torch

from earsight.connectors.window_qformer import WindowQFormer, WindowQFormerConfig, published_state
from earsight.types import Extent, Features
from golden import Golden

RATE_HZ = 50.0


def compare(golden: Golden) -> None:
    for case in sorted({name.split(".")[0] for name in golden.tensors}):
        compare_case(golden, case)


def compare_case(golden: Golden, case: str) -> None:
    connector = loaded(golden, case)
    given = {"speech": golden.tensors[f"{case}.speech"], "sound": golden.tensors[f"{case}.audio"]}
    features = {
        name: Features(values, torch.ones(values.shape[:2], dtype=torch.bool), RATE_HZ)
        for name, values in given.items()
    }
    n_media = len(given["speech"])
    with torch.no_grad():
        windows, valid, kept = connector.windows(features, n_media)
        summary = connector.read(windows, valid)
        made = connector(features, torch.zeros(n_media, dtype=torch.long))
    assert valid.all() and kept.all()
    ours = {"windows": windows, "qformer_out": summary, "out": made.values, "atts": made.mask.long()}
    stored = {name.removeprefix(f"{case}.") for name in golden.tensors if name.startswith(f"{case}.")}
    assert stored <= {"speech", "audio", *ours}, f"{case}: no comparison for {sorted(stored)}"
    for name in [name for name in ours if name in stored]:
        golden.check(f"{case}.{name}", ours[name])
    steps = {name: values.shape[1] for name, values in given.items()}
    extent = Extent(0, steps, dict.fromkeys(steps, RATE_HZ))
    assert connector.config.n_soft_tokens(extent) == golden.tensors[f"{case}.out"].shape[1]


def loaded(golden: Golden, case: str) -> WindowQFormer:
    """Our connector with the golden weights and the settings of one case."""
    about, sizes = golden.about, golden.about["qformer"]
    settings = about.get("cases", {}).get(case, {})
    window, stride = about["second_per_window"], about["second_stride"]
    if isinstance(settings, dict) and settings:
        window, stride = settings["kernel"] / RATE_HZ, settings["stride"] / RATE_HZ
    config = WindowQFormerConfig(
        window_seconds=window,
        stride_seconds=stride,
        n_queries=about["num_query"],
        hidden=sizes["hidden_size"],
        n_layers=sizes["num_hidden_layers"],
        n_heads=sizes["num_attention_heads"],
        intermediate=sizes["intermediate_size"],
        windowed=not (isinstance(settings, str) and "False" in settings),
        last_window="drop",
    )
    connector = config.build({"speech": about["whisper_dim"], "sound": about["beats_dim"]}, about["llm_dim"])
    state, ignored = published_state(golden.state)
    assert all("position_ids" in name for name in ignored), ignored
    connector.load_state_dict(state)
    return connector.eval()
