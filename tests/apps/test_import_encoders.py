"""`earsight import beats | imagebind | clap`: an encoder alone, and files that are none."""

import json
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "checkpoints"))
sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))

from published_files import laion_state  # noqa: E402


def check_refusal(status, out, err):
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("earsight: error: ") and "; " in err


@pytest.mark.parametrize("kind", ["beats", "imagebind", "clap"])
def test_an_encoder_from_another_file_is_one_line(earsight, kind, tmp_path):
    torch.save({"model": {"speech_query_tokens": torch.ones(1, 1, 8)}}, tmp_path / "salmonn.pth")
    (tmp_path / "notes.pt").write_text("my notes")
    (tmp_path / "whisper").mkdir()
    (tmp_path / "whisper" / "config.json").write_text('{"model_type": "whisper"}')
    before = sorted(tmp_path.rglob("*"))
    for name in ("salmonn.pth", "notes.pt", "whisper", "none.pt"):
        told = earsight("import", kind, "--checkpoint", str(tmp_path / name), "--out", str(tmp_path / "out"))
        check_refusal(*told)
        assert str(tmp_path / name) in told[2] and sorted(tmp_path.rglob("*")) == before


def test_an_encoder_is_imported_with_sizes_that_its_file_does_not_tell(earsight, tmp_path):
    from earsight.encoders.clap import ClapConfig

    sizes = {"spec_size": 64, "num_mel_bins": 16, "patch_size": 4, "patch_stride": [4, 4], "depths": [2, 1]}
    sizes |= {"patch_embeds_hidden_size": 8, "num_attention_heads": [1, 2], "window_size": 4, "mlp_ratio": 2.0}
    torch.save({"state_dict": laion_state(ClapConfig(sizes).build())}, tmp_path / "laion.pt")
    command = ("import", "clap", "--checkpoint", str(tmp_path / "laion.pt"), "--out", str(tmp_path / "out"))
    status, out, _ = earsight(*command, "backbone.spec_size=64")
    assert status == 0 and "3 of no use here: module.audio_branch.layers.0.blocks.1.attn_mask" in out
    assert json.loads((tmp_path / "out" / "config.json").read_text())["values"]["backbone"] == {
        "spec_size": 64,
        **sizes,
    }
    check_refusal(*earsight(*command[:-1], str(tmp_path / "again"), "backbone.patch_size=3"))
