"""`earsight import` with files that are not what they should be: one line, status 2, nothing written, nothing run."""

import json
import os
import pickle
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent.parent / "checkpoints"))
sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))

from published_files import copied, write_llama, write_salmonn, write_video_salmonn  # noqa: E402


@pytest.fixture(scope="module")
def salmonn(tmp_path_factory):
    return write_salmonn(tmp_path_factory.mktemp("salmonn"))


@pytest.fixture(scope="module")
def video_salmonn(tmp_path_factory):
    return write_video_salmonn(tmp_path_factory.mktemp("video_salmonn"))


@pytest.fixture
def files(salmonn, tmp_path):
    """SALMONN's files, of which a test may replace some; what is written goes to the folder `place`."""
    (tmp_path / "place").mkdir()
    return dict(salmonn)


@pytest.fixture
def run(earsight, files, tmp_path):
    """Import SALMONN with some files replaced; checks that a refusal leaves nothing behind."""

    def run(*arguments, out=tmp_path / "place" / "out", **replaced):
        options = [word for name, path in {**files, **replaced}.items() for word in (f"--{name}", str(path))]
        return earsight("import", "salmonn", *options, "--out", str(out), *arguments)

    return run


@pytest.fixture
def refused(run, tmp_path):
    """The one line that a refused import prints."""

    def refused(*arguments, **replaced):
        before = snapshot(tmp_path / "place")
        status, out, err = run(*arguments, **replaced)
        check_refusal(status, out, err)
        assert snapshot(tmp_path / "place") == before
        return err

    return refused


def check_refusal(status, out, err):
    assert (status, out) == (2, ""), err
    last = err.splitlines()[-1]
    assert last.startswith("earsight: error: ") and "Traceback" not in err
    assert err.count("\n") == 1, err
    assert "; " in last or "expected" in last, "what to do is said"


def snapshot(folder):
    return sorted(folder.rglob("*"))


HEADS = ("connector.n_heads=4",)


def test_an_import_tells_what_became_of_every_tensor(run, tmp_path):
    status, out, err = run(*HEADS)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].endswith("tensors taken, none missing")
    assert any(line.startswith("4 of no use here in trained weights (salmonn.pth): ") for line in lines), out
    assert lines[-1].startswith(f"written to {tmp_path / 'place' / 'out'}")
    assert {"config.json", "import.json", "model.safetensors"} <= set(os.listdir(tmp_path / "place" / "out"))


def test_what_is_not_known_is_named_in_full(run, files, tmp_path):
    files |= copied(files, tmp_path, "checkpoint")
    held = torch.load(files["checkpoint"], weights_only=True)
    held["model"] |= {f"stranger{index}.weight": torch.ones(1) for index in range(5)}
    torch.save(held, files["checkpoint"])
    _, out, _ = run(*HEADS)
    for index in range(5):
        assert f"unexpected in trained weights (salmonn.pth), left out: stranger{index}.weight\n" in out


def test_video_salmonn_is_imported_from_the_command_line(earsight, video_salmonn, tmp_path):
    options = [f"--{name}={path}" for name, path in video_salmonn.items() if name not in ("modules", "vocabulary")]
    levels = '[{"window_seconds": 0.5, "n_queries": 2}, {"window_seconds": 2.5, "n_queries": 10}]'
    status, out, err = earsight(
        "import", "video-salmonn", *options, f"--out={tmp_path / 'out'}", "connector.n_heads=4",
        f"connector.levels={levels}", "encoders.vision.n_heads=2", "encoders.vision.vit_heads=2",
    )  # fmt: skip
    assert status == 0, err
    assert "note: no --question-vocabulary was given" in out
    values = json.loads((tmp_path / "out" / "config.json").read_text())["values"]
    assert [level["window_seconds"] for level in values["connector"]["levels"]] == [0.5, 2.5]


# Wrong files


@pytest.mark.parametrize("option", ["checkpoint", "beats"])
@pytest.mark.parametrize("text", ["my notes\n", "checkpoints are here\n", "", "\x80not a pickle"])
def test_a_text_file_is_no_weight_file(refused, option, text, tmp_path):
    (tmp_path / "notes.pth").write_text(text, encoding="latin-1")
    assert f"{tmp_path / 'notes.pth'}: not a weight file" in refused(**{option: tmp_path / "notes.pth"})


@pytest.mark.parametrize("option", ["checkpoint", "beats"])
def test_a_zip_that_is_no_checkpoint_is_refused(refused, option, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.pth", "w") as archive:
        archive.writestr("photos/one.jpg", b"picture")
    assert f"{tmp_path / 'photos.pth'}: not a weight file" in refused(**{option: tmp_path / "photos.pth"})


def test_a_torchscript_archive_is_refused(refused, tmp_path):
    with zipfile.ZipFile(tmp_path / "script.pth", "w") as archive:
        for name in ("constants.pkl", "version"):
            archive.writestr(f"script/{name}", b"3")
    assert "not a weight file" in refused(checkpoint=tmp_path / "script.pth")


@pytest.mark.parametrize("option", ["checkpoint", "beats"])
@pytest.mark.parametrize("share", [0.5, 0.01, 0.99])
def test_a_truncated_pth_is_refused(refused, files, option, share, tmp_path):
    whole = files[option].read_bytes()
    (tmp_path / "half.pth").write_bytes(whole[: int(len(whole) * share)])
    assert "half.pth: not a weight file, or a truncated one; download it again" in refused(
        **{option: tmp_path / "half.pth"}
    )


@pytest.mark.parametrize("share", [0.5, 0.02, 0.99])
def test_a_truncated_pickle_of_old_is_refused(refused, files, share, tmp_path):
    held = torch.load(files["checkpoint"], weights_only=True)
    torch.save(held, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    whole = (tmp_path / "old.pth").read_bytes()
    (tmp_path / "old.pth").write_bytes(whole[: int(len(whole) * share)])
    assert "download it again" in refused(checkpoint=tmp_path / "old.pth")


def test_a_whole_pickle_of_old_is_read(run, files, tmp_path):
    torch.save(
        torch.load(files["checkpoint"], weights_only=True),
        tmp_path / "old.pth",
        _use_new_zipfile_serialization=False,
    )
    assert run(*HEADS, checkpoint=tmp_path / "old.pth")[0] == 0


@pytest.mark.parametrize("option", ["whisper", "llm"])
@pytest.mark.parametrize("share", [0.5, 0.0001, 0.99])
def test_a_truncated_safetensors_is_refused(refused, files, option, share, tmp_path):
    files |= copied(files, tmp_path, option)
    weights = files[option] / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: int(len(whole) * share)])
    assert f"{weights}: not a safetensors file, or a truncated one; download it again" in refused(*HEADS)


def test_trained_weights_as_safetensors_are_read_and_their_half_is_refused(run, refused, files, tmp_path):
    held = torch.load(files["checkpoint"], weights_only=True)
    state = {name: value.clone() for name, value in held["model"].items()}
    save_file(state, tmp_path / "salmonn.safetensors")
    whole = (tmp_path / "salmonn.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "half.safetensors: not a safetensors file" in refused(checkpoint=tmp_path / "half.safetensors")
    assert run(*HEADS, checkpoint=tmp_path / "salmonn.safetensors")[0] == 0


# Wrong keys and sizes


def test_beats_is_not_salmonn_nor_the_reverse(refused, files):
    told = refused(checkpoint=files["beats"])
    assert f"{files['beats']}: not SALMONN's trained weights" in told and "it looks like BEATs" in told
    told = refused(beats=files["checkpoint"])
    assert f"{files['checkpoint']}: expected BEATs weights" in told and "BEATs_*.pt" in told


@pytest.mark.parametrize(
    "held", [[1, 2], {"model": [1]}, {"model": {}}, {"model": {"a": 1}}, torch.ones(3), {3: torch.ones(3)}, None]
)
def test_a_file_without_tensors_by_name_is_refused(refused, held, tmp_path):
    torch.save(held, tmp_path / "odd.pth")
    assert "holds no tensors by name; expected a state dict" in refused(checkpoint=tmp_path / "odd.pth")


def test_a_key_with_another_number_of_axes_is_refused(refused, files, tmp_path):
    files |= copied(files, tmp_path, "checkpoint")
    held = torch.load(files["checkpoint"], weights_only=True)
    held["model"]["speech_query_tokens"] = torch.ones(24)
    torch.save(held, files["checkpoint"])
    assert f"{files['checkpoint']}: speech_query_tokens has sizes (24,), expected 3" in refused()


def test_a_language_model_of_another_width_is_refused(refused, tmp_path, capsys):
    write_llama(tmp_path / "narrow", hidden_size=16, num_hidden_layers=2)
    capsys.readouterr()  # Transformers' own bar
    told = refused(*HEADS, llm=tmp_path / "narrow")
    assert f"{tmp_path / 'narrow'}: this language model is 16 wide" in told and "one 32 wide" in told


def test_one_tensor_of_another_size_is_named_with_its_file(refused, files, tmp_path):
    files |= copied(files, tmp_path, "llm")
    state = load_file(files["llm"] / "model.safetensors")
    state["model.layers.1.mlp.up_proj.weight"] = torch.ones(3, 32)
    save_file(state, files["llm"] / "model.safetensors")
    told = refused(*HEADS)
    assert f"model.layers.1.mlp.up_proj.weight in {files['llm']} is (3, 32), the model's is (64, 32)" in told


# Code in a file


class Harm:
    """What a harmful file holds: a call that leaves a mark."""

    def __init__(self, mark, call=os.system):
        self.mark, self.call = mark, call

    def __reduce__(self):
        return self.call, (f"touch {self.mark}",)


class Plain:
    """A class of somebody's; nothing bad, and not run either."""


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("option", ["checkpoint", "beats"])
def test_pickled_code_is_never_run(refused, option, zipped, tmp_path):
    bad, mark = tmp_path / "bad.pth", tmp_path / "mark"
    held = {"cfg": {}, "model": {"speech_query_tokens": torch.ones(1), "harm": Harm(mark)}}
    torch.save(held, bad, _use_new_zipfile_serialization=zipped)
    told = refused(**{option: bad})
    assert f"{bad}: holds more than tensors" in told and "not run" in told and "system" in told
    assert not mark.exists()
    with zipfile.ZipFile(bad) if zipped else bad.open("rb") as whole:
        data = whole.read("bad/data.pkl") if zipped else whole.read()
    assert b"touch" in data, "the file did hold it"


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_bare_pickle_is_never_run(refused, protocol, tmp_path):
    (tmp_path / "bad.pth").write_bytes(pickle.dumps(Harm(tmp_path / "mark"), protocol=protocol))
    refused(checkpoint=tmp_path / "bad.pth")
    assert not (tmp_path / "mark").exists()
    pickle.loads((tmp_path / "bad.pth").read_bytes())
    assert (tmp_path / "mark").exists(), "another reader would have run it"


def test_an_object_of_any_class_is_refused_by_its_name(refused, tmp_path):
    torch.save({"model": {"a": torch.ones(1)}, "config": Plain()}, tmp_path / "object.pth")
    told = refused(checkpoint=tmp_path / "object.pth")
    assert "Plain), which is not run" in told and "safetensors" in told


@pytest.mark.parametrize("call", [eval, exec, __import__])
def test_builtin_calls_are_never_run(refused, call, tmp_path):
    torch.save({"model": {"harm": Harm(tmp_path / "mark", call)}}, tmp_path / "bad.pth")
    assert "which is not run" in refused(checkpoint=tmp_path / "bad.pth")


def test_code_in_a_language_models_bin_is_never_run(refused, files, tmp_path):
    files |= copied(files, tmp_path, "llm")
    (files["llm"] / "model.safetensors").unlink()
    torch.save({"model.embed_tokens.weight": Harm(tmp_path / "mark")}, files["llm"] / "pytorch_model.bin")
    assert "pytorch_model.bin: holds more than tensors" in refused(*HEADS)
    assert not (tmp_path / "mark").exists()


def test_code_that_a_language_models_folder_brings_is_never_run(run, files, tmp_path):
    files |= copied(files, tmp_path, "llm")
    (files["llm"] / "harm.py").write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\n")
    for name in ("config.json", "tokenizer_config.json"):
        told = json.loads((files["llm"] / name).read_text())
        remote = {"AutoConfig": "harm.Config", "AutoTokenizer": ["harm.Tokenizer", None]}
        (files["llm"] / name).write_text(json.dumps(told | {"auto_map": remote}))
    run(*HEADS)
    assert not (tmp_path / "mark").exists()


# Folders


def test_what_is_not_there_is_named(refused, files, tmp_path):
    for option in files:
        assert f"{tmp_path / 'none'}: no such " in refused(*HEADS, **{option: tmp_path / "none"})


def test_a_folder_in_a_files_place_and_the_reverse_are_refused(refused, files):
    assert "is a folder; give the weight file" in refused(checkpoint=files["llm"])
    assert "no such folder" in refused(*HEADS, whisper=files["beats"])
    assert "no such folder" in refused(*HEADS, llm=files["beats"])


@pytest.mark.parametrize("option", ["whisper", "llm"])
def test_a_folder_without_a_config_is_refused(refused, files, option, tmp_path):
    files |= copied(files, tmp_path, option)
    (files[option] / "config.json").unlink()
    assert f"{files[option]}: expected a model folder with a config.json" in refused(*HEADS)
    (files[option] / "config.json").write_text("{ not json")
    assert "a config.json that names its model_type" in refused(*HEADS)


def test_whisper_and_the_language_model_in_each_others_place_are_refused(refused, files):
    assert "a model of type llama, expected whisper" in refused(*HEADS, whisper=files["llm"])
    assert "a language model of type whisper" in refused(*HEADS, llm=files["whisper"])


def test_a_folder_without_weights_is_refused(refused, files, tmp_path):
    files |= copied(files, tmp_path, "llm")
    (files["llm"] / "model.safetensors").unlink()
    assert "has neither *.safetensors nor pytorch_model*.bin in it" in refused(*HEADS)


def test_an_existing_folder_is_not_touched(refused, run, tmp_path):
    (tmp_path / "place" / "out").mkdir()
    (tmp_path / "place" / "out" / "mine.txt").write_text("mine")
    assert "out: is there already; give another folder, or remove it" in refused(*HEADS)
    (tmp_path / "place" / "out" / "mine.txt").unlink()
    assert run(*HEADS)[0] == 0, "an empty one is used"


def test_a_file_in_the_folders_place_is_refused(refused, tmp_path):
    (tmp_path / "place" / "out").write_text("a file")
    assert "is there already" in refused(*HEADS)
    assert "could not be written" in refused(*HEADS, out=tmp_path / "place" / "out" / "deeper" / "still")


def test_folders_above_are_made(run, tmp_path):
    assert run(*HEADS, out=tmp_path / "place" / "not" / "yet" / "there")[0] == 0


# Settings


def test_settings_that_cannot_be_are_one_line(refused):
    assert "expected NAME=VALUE" in refused("n_heads")
    assert "no setting 'heads'" in refused("connector.heads=4")
    assert "sizes that make no model" in refused("connector.n_heads=5")
    assert "expected a number" in refused("connector.n_heads=four")


# A disk that is full


@pytest.mark.parametrize("at", [0, 1])
def test_a_disk_that_is_full_half_way_leaves_nothing(refused, monkeypatch, at):
    from earsight.checkpoints import tensor_files

    monkeypatch.setattr(tensor_files, "SHARD_BYTES", 50_000)
    written = []

    def save(tensors, file, **options):
        if len(written) == at:
            raise OSError(28, "No space left on device")
        written.append(file)
        save_file(tensors, file, **options)

    monkeypatch.setattr(tensor_files, "save_file", save)
    told = refused(*HEADS)
    assert "could not be written ([Errno 28] No space left on device)" in told and len(written) == at


def test_a_disk_that_is_full_at_the_configuration_leaves_nothing(refused, monkeypatch):
    from earsight.model.processor import EarsightProcessor

    def save(self, *arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EarsightProcessor, "save_pretrained", save)
    assert "No space left on device" in refused(*HEADS)


def test_a_stop_by_the_user_leaves_nothing(run, monkeypatch, tmp_path):
    from earsight.checkpoints import tensor_files

    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(tensor_files, "save_file", stopped)
    run(*HEADS)
    assert snapshot(tmp_path / "place") == []
