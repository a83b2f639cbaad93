"""The command line with a model that answers at once; what a real model answers is tested elsewhere."""

from dataclasses import dataclass, field

import pytest

from earsight.errors import MediaError
from earsight.types import Answer, Evidence


@dataclass
class FakeModel:
    """Answers with words made of the source and the question; fails on files whose first word is `bad`."""

    asked: list = field(default_factory=list)
    loaded: int = 0
    interrupt_at: str = ""

    def ask(self, source, question, *, on_text=None, explain=False, audio="auto", **options):
        self.asked.append((source, question, {"audio": audio, "explain": explain, **options}))
        if self.interrupt_at and source.endswith(self.interrupt_at):
            raise KeyboardInterrupt
        if source.split("/")[-1].startswith("bad"):
            raise MediaError(f"{source}: not a media file; give a video, sound or image file")
        pieces = [" A", " dog", " barks"]
        for piece in pieces if on_text else []:
            on_text(piece)
        return Answer(
            text="A dog barks",
            question=question,
            source=source,
            seen="8 frames over 8.0 s",
            heard="nothing: the sound is silent",
            missing=("sound: silent",),
            notes=("2 damaged packets were skipped",),
            audio=audio,
            timings={"first_token": 0.5, "total": 0.75},
            n_tokens=3,
            evidence=Evidence(-0.2, None, -1.9, "picture") if explain else None,
        )

    def chat(self, source, **options):
        model = self

        class Talk:
            def ask(self, question, *, max_new_tokens=None, lora_scale=1.0, on_text=None):
                if question == "forbidden":
                    raise MediaError("this question cannot be asked; ask another")
                return model.ask(
                    source, question, on_text=on_text, max_new_tokens=max_new_tokens, lora_scale=lora_scale
                )

        return Talk()


@pytest.fixture
def model(monkeypatch):
    """What `earsight.load` gives while the test runs."""
    fake = FakeModel()

    def load(name, **options):
        fake.loaded += 1
        return fake

    monkeypatch.setattr("earsight.load", load)
    return fake


@pytest.fixture
def clips(tmp_path, monkeypatch):
    """Runs in a folder with one.mp4, two.mp4 and bad.mp4."""
    monkeypatch.chdir(tmp_path)
    for name in ("one.mp4", "two.mp4", "bad.mp4"):
        (tmp_path / name).write_bytes(b"media")
    return tmp_path


@pytest.fixture
def earsight(capsys):
    """Runs a command line; gives its exit status, stdout and stderr."""
    from earsight.apps.cli import main

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run
