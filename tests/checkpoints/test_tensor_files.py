"""Weight files: what is held while a folder is written, and what of a file is mapped."""

import weakref
from pathlib import Path

import pytest
import torch

from earsight.checkpoints import tensor_files


def test_a_shard_is_let_go_before_the_next_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(tensor_files, "SHARD_BYTES", 4000)
    alive, most = weakref.WeakSet(), []

    def tensors():
        for index in range(40):
            tensor = torch.full((250,), float(index))  # 1000 bytes
            alive.add(tensor)
            most.append(len(alive))
            yield f"tensor{index}", tensor
            del tensor

    tensor_files.write_folder(tmp_path / "out", tensors(), lambda folder: None)
    assert max(most) <= 5, "a shard of four, and the next tensor"
    assert len(list((tmp_path / "out").glob("*.safetensors"))) == 10


def test_tensors_of_a_zip_stay_on_disk_until_they_are_used(tmp_path):
    torch.save({"model": {"weight": torch.arange(100_000.0)}}, tmp_path / "big.pth")
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        pytest.skip("what is mapped is told by Linux alone")
    held = tensor_files.read_published(tmp_path / "big.pth")
    assert str(tmp_path / "big.pth") in maps.read_text()
    assert held["model"]["weight"][-1] == 99_999


def test_two_names_of_one_tensor_are_both_written(tmp_path):
    one = torch.randn(3)
    tensor_files.write_folder(tmp_path / "out", [("a", one), ("b", one)], lambda folder: None)
    assert all(torch.equal(value, one) for _, value in tensor_files.tensors_of(tmp_path / "out"))
