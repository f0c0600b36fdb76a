"""In which encoding a text file is: UTF-8, what its first bytes say, or what a library makes of its letters."""

from __future__ import annotations

import codecs
import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from charset_normalizer import from_bytes

from studio.errors import InvalidInput, Phrase

UTF_8 = "utf-8"
KNOWN = ("cp932", "euc_jp", "cp1252", "gb18030", "cp949", "big5", "cp1250", "cp1251", "iso2022_jp")
"""What spreadsheets of the world write besides Unicode, in the order in which it is believed."""
_LOOKED_AT = 1 << 20
_SAMPLE = 1 << 16
_CLOSE = 0.05
"""Two readings whose disorder differs by less than this are both possible."""
_BOMS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
         (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip


@dataclass(frozen=True)
class Encoding:
    """How the bytes of a file make letters, by the name Python has for it."""

    name: str
    is_sure: bool = True
    """Whether no other encoding makes other letters of it that look as good."""
    others: tuple[str, ...] = ()
    """The others."""


class NotTextError(InvalidInput):
    """A file is not text in the encoding it was read in."""


def not_text(path: Path, encoding: str, line: int) -> NotTextError:
    said = Phrase("{file} is not {encoding} text (line {line}).", file=path.name, encoding=encoding.upper(), line=line)
    return NotTextError(said, "Choose the encoding it was saved in, or save it as UTF-8.")


def named(encoding: str) -> str:
    """The name Python has for an encoding of text.

    Raises:
        InvalidInput: there is none of that name.
    """
    try:
        b"a".decode(encoding)
        return codecs.lookup(encoding).name
    except (LookupError, UnicodeDecodeError) as error:
        said = Phrase("There is no text encoding {name}.", name=repr(encoding))
        raise InvalidInput(said, "Use a name such as utf-8, utf-16, cp932 or cp1252.") from error


def wide_of(start: bytes) -> str:
    """UTF-16 or UTF-32, if the first bytes of a file say so; else empty."""
    for bom, name in _BOMS:
        if start.startswith(bom):
            return name
    # Without a mark: of text in Latin letters every second byte is zero.
    for name, zeros, others in (("utf-16-le", start[1:8:2], start[:8:2]), ("utf-16-be", start[:8:2], start[1:8:2])):
        if len(zeros) > 1 and not any(zeros) and all(others):
            return name
    return ""


def encoding_of(path: Path, *, whole: bool = False) -> Encoding:
    """The encoding of a text file: UTF-8 if its first megabyte is, else what its letters say.

    Args:
        whole: it isn't UTF-8, although it begins like that.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb", buffering=_LOOKED_AT) as file:
        start = file.read(_LOOKED_AT)
        if wide := wide_of(start):
            return Encoding(wide)
        if b"\x1b$" in start:
            return Encoding("iso2022_jp")
        if start.startswith(codecs.BOM_UTF8) or (not whole and _is_utf_8(start)):
            return Encoding(UTF_8)
        file.seek(0)
        return _guessed(_telling(file))


def _is_utf_8(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder(UTF_8)().decode(start)
    except UnicodeDecodeError:
        return False
    return True


def _telling(file: IO[bytes]) -> bytes:
    """Lines with other letters than those of English: all that tells encodings apart."""
    sample = b""
    while len(sample) < _SAMPLE and (line := file.readline(_LOOKED_AT)):
        if not line.isascii():
            # A cut may only be where no letter is cut in two: these signs are the second byte of none.
            sample += line if line.endswith(b"\n") else line[: max(map(line.rfind, (b'"', b",", b" "))) + 1] or line
    return sample


def _guessed(sample: bytes) -> Encoding:
    found = list(from_bytes(sample, cp_isolation=list(KNOWN)))
    if not found:
        return Encoding(UTF_8)  # which it isn't: reading says where
    least = min(match.chaos for match in found)
    names = {name: str(match) for match in found if match.chaos <= least + _CLOSE
             for name in (match.encoding, *match.could_be_from_charset)}  # fmt: skip
    best = next((name for name in KNOWN if name in names), found[0].encoding)
    text = names.setdefault(best, "")
    others = tuple(name for name in KNOWN if names.get(name, text) != text)
    return Encoding(best, not others, others)


class AsUtf8(io.RawIOBase):
    """A file in another encoding, read as UTF-8."""

    def __init__(self, file: IO[bytes], path: Path, encoding: str) -> None:
        self._file, self._path, self._encoding = file, path, encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._left, self._lines, self._is_end = memoryview(b""), 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Raises:
        NotTextError: the bytes are no text in that encoding.
        """
        while not self._left and not self._is_end:
            data = self._file.read(_LOOKED_AT)
            self._is_end = not data
            try:
                text = self._decoder.decode(data, final=self._is_end)
            except UnicodeDecodeError as error:
                line = 1 + self._lines + error.object[: error.start].count(b"\n")
                raise not_text(self._path, self._encoding, line) from error
            self._lines += text.count("\n")
            self._left = memoryview(text.encode(UTF_8, "surrogatepass"))
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size
