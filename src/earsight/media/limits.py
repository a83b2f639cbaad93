"""What the media layer refuses to exceed, whatever a file or a server claims."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Caps on one medium. The defaults let ordinary use through and stop decompression bombs and slow servers."""

    max_bytes: int = 2 << 30  # of a download, of bytes and of a data: URI; a local file is read in place, uncapped
    fetch_seconds: float = 120.0  # for a whole download, redirects included
    connect_seconds: float = 10.0  # until a server has answered, and between two of its packets
    max_redirects: int = 5
    allow_private_addresses: bool = False  # for tests and trusted networks: URLs may reach this machine and its network
    open_seconds: float = 10.0  # until a container is open, and for any one read of it
    max_pixels: int = 1 << 26  # of one frame or image (67 million, over 8K)
    max_picture_bytes: int = 4 << 30  # of all frames kept; reached only with native frame sizes
    max_sound_seconds: float = 3600.0  # of sound kept (230 MB at 16 kHz); the rest is cut with a note
