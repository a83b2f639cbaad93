"""Readers for the odd containers of the source packages.

.deb (ar), .rcc (Qt resources), .cat (OpenTTD sounds), .pat (Gravis patches of instruments), .ocg (OpenClonk groups).

Each is read in one pass from bytes; nothing here writes or runs anything.
"""

import io
import struct
import wave
import zlib
from collections.abc import Iterator

from earsight.errors import EarsightError

# What a reader of a format may stumble over in a damaged file; EarsightError is a ValueError.
UNREADABLE = (
    *(OSError, ValueError, LookupError, EOFError, SyntaxError, ArithmeticError, RecursionError),
    *(struct.error, zlib.error, wave.Error),
)

AR_MAGIC = b"!<arch>\n"
RCC_MAGIC = b"qres"
RCC_COMPRESSED, RCC_DIRECTORY, RCC_ZSTD = 1, 2, 4
PATCH_MAGIC = b"GF1PATCH110\0ID#000002\0"
PATCH_16_BIT, PATCH_UNSIGNED = 1, 2
GROUP_MAGIC, GZIP_MAGIC = b"\x1e\x8c", b"\x1f\x8b"  # a group is a gzip stream with another first word
GROUP_HEADER, GROUP_ENTRY, GROUP_TITLE = 204, 316, b"RedWolf Design GrpFolder"


class DamagedFileError(EarsightError):
    """A file inside a package that is missing or cannot be read."""


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


def read_patch(blob: bytes) -> list[bytes]:
    """The samples of a Gravis patch (.pat) in order, as RIFF/WAVE bytes: each one recorded note of an instrument.

    Loop points are dropped, so a sample is heard once, as it was recorded.

    Raises:
        EarsightError: not such a file, or with samples of a kind that no package used here has.
    """
    if not blob.startswith(PATCH_MAGIC):
        raise EarsightError("not a Gravis patch: the file does not start with 'GF1PATCH110'")
    samples, at = [], 129 + 63 + 47  # behind the headers of the file, its only instrument and its only layer
    for _ in range(blob[at - 41]):
        (size,) = struct.unpack_from("<I", blob, at + 8)
        (rate,) = struct.unpack_from("<H", blob, at + 20)
        modes = blob[at + 55]
        if not modes & PATCH_16_BIT or modes & PATCH_UNSIGNED:
            raise EarsightError("the Gravis patch holds samples that are not signed 16-bit; this reader knows no other")
        packed = io.BytesIO()
        with wave.open(packed, "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(rate)
            sound.writeframes(blob[at + 96 : at + 96 + size])
        samples.append(packed.getvalue())
        at += 96 + size
    return samples


def read_group(blob: bytes) -> dict[str, bytes]:
    """The files of an OpenClonk group (.ocg), those of groups inside it too, by path.

    Raises:
        EarsightError: not such a file.
    """
    if blob.startswith(GROUP_MAGIC):
        blob = zlib.decompress(GZIP_MAGIC + blob[2:], wbits=31)
    header = bytearray(blob[:GROUP_HEADER])
    header[0::3], header[2::3] = header[2::3], header[0::3]  # the header is lightly scrambled
    header = bytearray(byte ^ 237 for byte in header)
    if not header.startswith(GROUP_TITLE):
        raise EarsightError(f"not an OpenClonk group: the file does not start with '{GROUP_TITLE.decode()}'")
    (count,) = struct.unpack_from("<i", header, 36)
    files, body = {}, GROUP_HEADER + GROUP_ENTRY * count
    for at in range(GROUP_HEADER, body, GROUP_ENTRY):
        name = blob[at : at + 260].split(b"\0", 1)[0].decode("latin-1")
        _, is_group, size, _, offset = struct.unpack_from("<5i", blob, at + 260)
        content = blob[body + offset : body + offset + size]
        if is_group:
            files.update({f"{name}/{path}": part for path, part in read_group(content).items()})
        else:
            files[name] = content
    return files
