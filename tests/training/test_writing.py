"""Answers that the model writes itself: also about media that are rendered when they are asked for."""

import numpy as np
import pytest

from earsight.checkpoints.build import build_tiny
from earsight.data.records import Record
from earsight.model import lora
from earsight.training import writing
from earsight.training.pairing import Books
from earsight.training.stages import Writing
from earsight.types import Clip

ADDRESS = "starter://sound/owl/0"


class Heard:
    """A sound of one second, made when it is asked for."""

    def render(self, sampling):
        waveform = np.sin(np.arange(16000) / 20).astype(np.float32)
        frames = np.zeros((0, 1, 1, 3), dtype=np.uint8)
        return Clip(frames, np.zeros(0), waveform, 0.0, 16000, 1.0, "absent", "present", ADDRESS)


class Renders:
    def source(self, address):
        assert address == ADDRESS
        return Heard()


@pytest.fixture
def hearing():
    model, processor = build_tiny("salmonn")
    lora.add(model)
    return model, processor


def test_a_rendered_sound_is_heard_and_its_address_is_kept(hearing, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "renderer_of", lambda root: Renders())
    content = [{"type": "audio", "path": ADDRESS}, {"type": "text", "text": "What is it?"}]
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "An owl."}]
    books = Books({"sounds": [Record("owl", "sounds", "hear", messages)]}, {"sounds": 1.0})
    made = writing.written(books, Writing(max_new_tokens=8), *hearing, tmp_path, 1, tmp_path / "written.jsonl")
    (record,) = made.records["written"]
    assert record.messages[0]["content"][0] == {"type": "audio", "path": ADDRESS}
    assert record.task == "story" and record.messages[1]["content"][0]["text"]
