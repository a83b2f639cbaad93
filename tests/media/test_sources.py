"""Everything that may be given as a medium, and every way a URL may misbehave."""

import base64
import http.server
import socket
import threading
import time
from contextlib import contextmanager, suppress

import generate
import numpy as np
import pytest
from PIL import Image

from earsight.errors import MediaError
from earsight.media import Limits, Sampling, fetch, load_clip, probe

HERE = Limits(allow_private_addresses=True, fetch_seconds=5)


@pytest.fixture(scope="module")
def film(folder):
    return generate.write(folder / "given.mp4")


@contextmanager
def served(answer):
    """A server on this machine that answers every GET with `answer(handler)`; yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def send(data: bytes, claimed: int | None = None):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(claimed or len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def redirect(to: str):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", to)
        handler.end_headers()

    return answer


def refusal(source, **options) -> str:
    with pytest.raises(MediaError) as caught:
        load_clip(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_film_is_the_same_by_every_way_it_can_be_given(film):
    data = film.read_bytes()
    expected = load_clip(film)
    ways = [str(film), data, bytearray(data), film.as_uri(), "data:video/mp4;base64," + base64.b64encode(data).decode()]
    for way in ways:
        clip = load_clip(way)
        assert np.array_equal(clip.frames, expected.frames) and np.array_equal(clip.waveform, expected.waveform)
        assert len(clip.source) <= 110 and probe(way).n_frames == 60
    with served(send(data)) as address:
        clip = load_clip(f"{address}/film.mp4?secret=1", limits=HERE)
    assert np.array_equal(clip.frames, expected.frames) and "secret" not in clip.source


def test_arrays_and_images_are_clips():
    frames = np.full((5, 30, 40, 3), 77, np.uint8)
    clip = load_clip(frames, Sampling(frames_per_second=2, frame_size=(10, 8)))
    assert clip.frames.shape == (5, 8, 10, 3) and np.allclose(clip.frame_times, np.arange(5) / 2)
    assert clip.duration_seconds == 2.5 and (clip.frames == 77).all() and "assumed" in clip.notes[0]
    assert load_clip(frames[0]).frames.shape == (1, 260, 260, 3)
    assert load_clip(Image.new("L", (40, 30), 99)).frames[0, 0, 0].tolist() == [99, 99, 99]
    assert load_clip(frames, Sampling(max_frames=2)).frames.shape[0] == 2


def test_a_waveform_with_its_rate_is_a_clip():
    for wave in (generate.tone(2, 8000), (generate.tone(2, 8000) * 32767).astype(np.int16)):
        clip = load_clip((wave, 8000))
        assert abs(len(clip.waveform) - 32000) <= 1 and clip.sound == "present" and clip.picture == "absent"
        assert abs(clip.duration_seconds - 2) < 0.001
    part = load_clip((generate.tone(2, 8000), 8000), start_seconds=0.5, end_seconds=1)
    assert abs(len(part.waveform) - 8000) <= 1
    assert load_clip((np.zeros(800, np.float32), 8000)).sound == "silent"


@pytest.mark.parametrize(
    "given",
    [None, 3, [], {}, np.zeros((4, 4)), np.zeros(100, np.float32), np.zeros((2, 4, 4, 3)), (np.zeros((2, 3)), 8000),
     (np.full(10, np.nan), 8000), (np.zeros(10), 0), "", "rtsp://host/film", "data:video/mp4;base64,%%%",
     "data:nothing", "file://elsewhere/film.mp4", b"\0\0", "a\0b", "x" * 5000],
)  # fmt: skip
def test_what_is_not_a_medium_is_refused_in_one_line(given):
    message = refusal(given)
    assert len(message) < 400


def test_bytes_over_the_limit_are_refused(film):
    assert "over the limit" in refusal(film.read_bytes(), limits=Limits(max_bytes=1000))


def test_a_playlist_opens_neither_other_files_nor_addresses(folder, film):
    playlists = {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{film}\n#EXT-X-ENDLIST\n",
        "list.ffconcat": f"ffconcat version 1.0\nfile {film.name}\n",
        "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
        "list.mp4": f"#EXTM3U\n#EXTINF:9,\nfile://{film}\n",
    }
    for name, text in playlists.items():
        (folder / name).write_text(text)
        refusal(folder / name)
        refusal(text.encode())


def test_private_addresses_are_refused_unless_allowed(film):
    with served(send(film.read_bytes())) as address:
        assert "private" in refusal(address)
        assert "private" in refusal(address.replace("127.0.0.1", "localhost"))
    for host in ("169.254.169.254", "10.0.0.1", "192.168.1.1", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "[fe80::1]"):
        assert "private" in refusal(f"http://{host}/x")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "100.64.0.1", "fd00::1"],
)
def test_addresses_that_lead_inside_are_not_public(address):
    assert not fetch.is_public(address)


def test_a_public_address_is_public():
    assert fetch.is_public("8.8.8.8") and fetch.is_public("2001:4860:4860::8888")


def test_a_redirect_to_a_private_address_is_refused(film, monkeypatch):
    """The first hop resolves to an address that counts as public here; the second one does not."""
    with served(send(film.read_bytes())) as inside, served(redirect(inside)) as outside:
        answers = iter([True, False])
        monkeypatch.setattr(fetch, "is_public", lambda address: next(answers))
        assert "private" in refusal(outside)


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://host/x", "gopher://host", "data:text/plain,x"])
def test_a_redirect_to_another_scheme_is_refused(to):
    with served(redirect(to)) as address:
        assert "only http" in refusal(address, limits=HERE)


def test_endless_redirects_errors_and_refused_connections_are_one_line():
    with served(redirect("/again")) as address:
        assert "redirects" in refusal(address, limits=HERE)
    with served(lambda handler: handler.send_error(404)) as address:
        assert "404" in refusal(address, limits=HERE)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert "cannot be fetched" in refusal(f"http://127.0.0.1:{unused.getsockname()[1]}/x", limits=HERE)
    assert "cannot be fetched" in refusal("http://no-such-host.invalid/x", limits=HERE)


def test_too_big_too_short_and_too_slow_downloads_are_refused():
    with served(send(b"x" * 5000)) as address:
        assert "over the limit" in refusal(address, limits=Limits(allow_private_addresses=True, max_bytes=1000))
    with served(send(b"x" * 50, claimed=5000)) as address:
        assert "stopped after" in refusal(address, limits=HERE)


@pytest.mark.parametrize("part", ["headers", "body"])
def test_a_download_that_trickles_is_cut_off(part):
    def trickle(handler):
        if part == "body":
            handler.send_response(200)
            handler.end_headers()
        with suppress(OSError):
            for _ in range(100):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.05)

    begun = time.monotonic()
    with served(trickle) as address:
        refusal(address, limits=Limits(allow_private_addresses=True, fetch_seconds=0.5))
    assert time.monotonic() - begun < 3
