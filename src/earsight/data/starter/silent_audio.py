"""A stand-in for libpcaudio, through which eSpeak NG plays sound: nothing is played here, it writes to a pipe.

Debian's own is linked to PulseAudio's client, whose two dozen packages many machines lack. Without them the loader
refuses eSpeak although not one of their functions would be called.

    LIBRARY = ELF header | segments | symbols and their names | one function that returns 0 | dynamic section

See the System V ABI, chapters 4 and 5, and its supplement for AMD64.
"""

import struct
from pathlib import Path

NAME = "libpcaudio.so.0"
FUNCTIONS = (
    "create_audio_device_object",
    "audio_object_open",
    "audio_object_close",
    "audio_object_write",
    "audio_object_drain",
    "audio_object_flush",
    "audio_object_destroy",
    "audio_object_strerror",
)
PAGE = 0x1000
ELF64, LITTLE_ENDIAN, VERSION, SHARED_OBJECT, X86_64 = 2, 1, 1, 3, 62
LOADED, DYNAMIC = 1, 2  # kinds of segments
EXECUTE, WRITE, READ = 1, 2, 4
HASH, STRINGS, SYMBOLS, STRINGS_SIZE, SYMBOL_SIZE, OWN_NAME = 4, 5, 6, 10, 11, 14  # entries of the dynamic section
GLOBAL_FUNCTION, SECTION = 0x12, 1  # of a symbol; any section will do that is not 0, "undefined"
RETURN_ZERO = b"\x31\xc0\xc3"  # xor eax, eax; ret
HEADER = struct.Struct("<4s5B7x2HI3QI6H")
SEGMENT = struct.Struct("<2I6Q")
SYMBOL = struct.Struct("<I2BH2Q")
ENTRY = struct.Struct("<2Q")


def library() -> bytes:
    """The shared library, for Linux on x86-64: every function of FUNCTIONS returns 0, a null pointer."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*FUNCTIONS, NAME))
    symbols_at = HEADER.size + 3 * SEGMENT.size
    hash_at = symbols_at + SYMBOL.size * (1 + len(FUNCTIONS))
    # One bucket whose chain holds every symbol: 1, 2, ..., the last one's next is 0.
    chain = [0, *range(2, len(FUNCTIONS) + 1), 0]
    table = struct.pack(f"<{4 + len(FUNCTIONS)}I", 1, 1 + len(FUNCTIONS), 1, *chain)
    names_at = hash_at + len(table)
    code_at = names_at + len(names)
    symbols = SYMBOL.pack(0, 0, 0, 0, 0, 0)
    for name in FUNCTIONS:
        where = names.index(b"\0" + name.encode() + b"\0") + 1
        symbols += SYMBOL.pack(where, GLOBAL_FUNCTION, 0, SECTION, code_at, len(RETURN_ZERO))
    dynamic = b"".join(
        ENTRY.pack(kind, value)
        for kind, value in (
            (OWN_NAME, names.index(b"\0" + NAME.encode() + b"\0") + 1),
            (HASH, hash_at),
            (STRINGS, names_at),
            (SYMBOLS, symbols_at),
            (STRINGS_SIZE, len(names)),
            (SYMBOL_SIZE, SYMBOL.size),
            (0, 0),
        )
    )
    end = code_at + len(RETURN_ZERO)
    segments = SEGMENT.pack(LOADED, READ | EXECUTE, 0, 0, 0, end, end, PAGE)
    for kind, align in ((LOADED, PAGE), (DYNAMIC, 8)):  # the loader writes addresses into the dynamic section
        segments += SEGMENT.pack(kind, READ | WRITE, PAGE, PAGE, PAGE, len(dynamic), len(dynamic), align)
    header = HEADER.pack(
        b"\x7fELF", ELF64, LITTLE_ENDIAN, VERSION, 0, 0, SHARED_OBJECT, X86_64, VERSION, 0, HEADER.size, 0, 0,
        HEADER.size, SEGMENT.size, 3, 0, 0, 0,
    )  # fmt: skip
    whole = header + segments + symbols + table + names + RETURN_ZERO
    return whole.ljust(PAGE, b"\0") + dynamic


def folder_with_it(cache_dir: Path) -> Path:
    """The folder in the cache that holds the library, written now where it is not yet there."""
    folder = cache_dir / "packages" / "silent-audio"
    if not (folder / NAME).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"{NAME}.partial"
        partial.write_bytes(library())
        partial.replace(folder / NAME)
    return folder
