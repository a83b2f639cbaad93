"""Readers for the odd containers of the source packages: .deb (ar), .rcc (Qt resources), .cat (OpenTTD sounds).

Each is read in one pass from bytes; nothing here writes or runs anything.
"""

import struct
import zlib
from collections.abc import Iterator

from earsight.errors import EarsightError

AR_MAGIC = b"!<arch>\n"
RCC_MAGIC = b"qres"
RCC_COMPRESSED, RCC_DIRECTORY, RCC_ZSTD = 1, 2, 4


def read_ar(blob: bytes) -> dict[str, bytes]:
    """The members of an ar archive, which is what a .deb file is: debian-binary, control.tar.*, data.tar.*.

    Raises:
        EarsightError: not an ar archive, or cut short.
    """
    if not blob.startswith(AR_MAGIC):
        raise EarsightError("not a Debian package: the file does not start with '!<arch>'; download it again")
    members, at = {}, len(AR_MAGIC)
    while at + 60 <= len(blob):
        header = blob[at : at + 60]
        name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
        if at + 60 + size > len(blob):
            raise EarsightError(f"the Debian package is cut short inside {name}; download it again")
        members[name] = blob[at + 60 : at + 60 + size]
        at += 60 + size + size % 2  # members start at even offsets
    return members


def read_rcc(blob: bytes) -> dict[str, bytes]:
    """The files of a binary Qt resource (.rcc), by path.

    Raises:
        EarsightError: not such a file, or compressed with Zstandard (no package used here is).
    """
    if blob[:4] != RCC_MAGIC:
        raise EarsightError("not a Qt resource: the file does not start with 'qres'")
    version, tree, data, names = struct.unpack_from(">4I", blob, 4)
    node_size = 14 if version == 1 else 22  # later versions append a modification time

    def name_of(offset: int) -> str:
        (length,) = struct.unpack_from(">H", blob, names + offset)
        start = names + offset + 6  # the length and a hash of the name
        return blob[start : start + 2 * length].decode("utf-16-be")

    def walk(index: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        at = tree + index * node_size
        name_offset, flags = struct.unpack_from(">IH", blob, at)
        path = prefix + name_of(name_offset) if index else ""  # the root's name means nothing
        if flags & RCC_DIRECTORY:
            count, first = struct.unpack_from(">II", blob, at + 6)
            for child in range(first, first + count):
                yield from walk(child, f"{path}/" if path else "")
        else:
            (offset,) = struct.unpack_from(">I", blob, at + 10)  # after four bytes of locale
            (length,) = struct.unpack_from(">I", blob, data + offset)
            yield path, _rcc_payload(blob[data + offset + 4 : data + offset + 4 + length], flags, path)

    return dict(walk(0, ""))


def _rcc_payload(raw: bytes, flags: int, path: str) -> bytes:
    if flags & RCC_ZSTD:
        raise EarsightError(f"{path} is compressed with Zstandard inside its .rcc file; this reader knows zlib only")
    return zlib.decompress(raw[4:]) if flags & RCC_COMPRESSED else raw  # four bytes of plain length first


def read_cat(blob: bytes) -> list[tuple[str, bytes]]:
    """The sounds of an OpenTTD .cat file in order: (label with author and licence, RIFF/WAVE bytes).

    Raises:
        EarsightError: an entry points outside the file.
    """
    (first,) = struct.unpack_from("<I", blob, 0)
    table_end = first & 0x7FFFFFFF  # the top bit marks the newer layout
    entries = []
    for at in range(0, table_end, 8):
        offset, size = struct.unpack_from("<II", blob, at)
        offset &= 0x7FFFFFFF
        if offset >= len(blob):
            raise EarsightError(f"entry {at // 8} of the .cat file points past its end; download the package again")
        name_length = blob[offset]
        label = blob[offset + 1 : offset + 1 + name_length].rstrip(b"\0").decode("latin-1")
        start = offset + 1 + name_length
        (riff_size,) = struct.unpack_from("<I", blob, start + 4)
        entries.append((label, blob[start : start + 8 + riff_size]))  # `size` counts differently between writers
    return entries
