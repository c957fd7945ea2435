"""CSV files as people have them: a byte order mark, Excel's cp932, semicolons, a torn row; read in bounded memory.

1. `detect` reads the bytes once: a BOM tells UTF-8 or UTF-16; else what decodes as UTF-8 is UTF-8, else cp932.
2. `CsvRows` yields (line, cells by column) and a reason for each row that has no such shape (RFC 4180 2.4).
"""

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Final

from streams.operate.errors import DocumentFault, UsageFault

_CHUNK: Final = 1 << 20
_DELIMITERS: Final = (",", "\t", ";")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One data row; `reason` says why it has no cells."""

    line: int
    cells: dict[str, str]
    reason: str = ""


def detect(path: Path) -> str:
    """The file's encoding by name: utf-8-sig, utf-16 or cp932.  Raises DocumentFault where none fits."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
            if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16"
            for encoding in ("utf-8-sig", "cp932"):
                if _decodes(path, encoding):
                    return encoding
    except OSError as error:
        raise DocumentFault(path, [f"can't be read: {error.strerror}"]) from error
    raise DocumentFault(path, ["is neither UTF-8 nor cp932: save it as UTF-8, or name its --encoding"])


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


class CsvRows:
    """The rows of a file with a header line; `position` of `size` bytes tells how far it was read."""

    def __init__(self, path: Path, *, encoding: str) -> None:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise UsageFault(f"--encoding {encoding}: no such encoding; auto, utf-8 and cp932 are usual") from None
        try:
            self._raw = path.open("rb")
        except OSError as error:
            raise DocumentFault(path, [f"can't be read: {error.strerror}"]) from error
        self.path = path
        self.encoding = encoding
        self.size = path.stat().st_size
        self._text = TextIOWrapper(self._raw, encoding=encoding, newline="")
        try:
            self.columns = self._header()
        except BaseException:
            self._text.close()
            raise

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._raw.tell()

    def _header(self) -> list[str]:
        try:
            first = self._text.readline()
        except UnicodeDecodeError as error:
            raise self._undecodable(error) from None
        self._delimiter = max(_DELIMITERS, key=first.count)
        columns = [name.strip() for name in next(csv.reader([first], delimiter=self._delimiter), [])]
        problems = [f"column {at} has no name" for at, name in enumerate(columns, 1) if not name]
        problems += [
            f"two columns are called {name!r}" for name in sorted({c for c in columns if columns.count(c) > 1})
        ]
        if not columns:
            problems.append("is empty: the first line names the columns")
        if problems:
            raise DocumentFault(self.path, problems)
        return columns

    def __iter__(self) -> Iterator[Row]:
        reader = csv.reader(self._text, delimiter=self._delimiter)
        line = 2
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:  # a quote that is never closed ends at the csv module's field limit of 128 KB
                yield Row(line=line, cells={}, reason=f"no CSV: {error}")
            except UnicodeDecodeError as error:
                raise self._undecodable(error) from None
            else:
                if cells:
                    yield self._row(line, cells)
            line = reader.line_num + 2

    def _row(self, line: int, cells: list[str]) -> Row:
        if len(cells) != len(self.columns):
            return Row(line=line, cells={}, reason=f"{len(cells)} cells under {len(self.columns)} columns")
        return Row(line=line, cells=dict(zip(self.columns, cells, strict=True)))

    def _undecodable(self, error: UnicodeDecodeError) -> DocumentFault:
        return DocumentFault(self.path, [f"is not {self.encoding} ({error.reason}): name its --encoding"])

    def close(self) -> None:
        """Close the file."""
        self._text.close()
