"""Load a CSV into Kafka: each row an event or a bad row with its line number; the file is read in bounded memory."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from streams.operate.csv_rows import CsvRows, Row, detect
from streams.operate.errors import OperateError

# Bad rows that are listed; `--bad FILE` has them all.
LISTED: Final = 20
# Rows between two looks at the progress bar.
STEP: Final = 500

Progress = Callable[[int, int], None]


class BadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was not loaded."""

    line: int
    reason: str


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a file; `bad_rows` holds the first LISTED of `bad`."""

    file: Path
    encoding: str
    rows: int
    loaded: int
    bad: int
    bad_rows: tuple[BadRow, ...]
    bad_file: Path | None


def open_rows(path: Path, encoding: str) -> CsvRows:
    """The file's rows; `auto` finds the encoding out.  Raises DocumentFault, UsageFault."""
    return CsvRows(path, encoding=detect(path) if encoding == "auto" else encoding)


def load_rows(
    rows: CsvRows, take: Callable[[Row], Any], *, bad_file: Path | None, progress: Progress = lambda _done, _of: None
) -> Loaded:
    """Hand each row to `take`; a ValueError of it makes the row a bad one."""
    listed: list[BadRow] = []
    count = bad = 0
    sink = _BadFile(bad_file, rows) if bad_file is not None else None
    try:
        for row in rows:
            count += 1
            try:
                take(row)
            except ValueError as error:
                bad += 1
                if len(listed) < LISTED:
                    listed.append(BadRow(line=row.line, reason=str(error)))
                if sink is not None:
                    sink.write(row, str(error))
            if count % STEP == 0:
                progress(rows.position, rows.size)
        progress(rows.size, rows.size)
    finally:
        rows.close()
        if sink is not None:
            sink.close()
    return Loaded(
        file=rows.path,
        encoding=rows.encoding,
        rows=count,
        loaded=count - bad,
        bad=bad,
        bad_rows=tuple(listed),
        bad_file=bad_file,
    )


class _BadFile:
    """The bad rows as CSV: line, reason, and the row's own cells, to be corrected and loaded again."""

    def __init__(self, path: Path, rows: CsvRows) -> None:
        try:
            self._file: IO[str] = path.open("w", encoding="utf-8-sig", newline="")
        except OSError as error:
            raise OperateError(f"--bad {path}: {error.strerror}") from error
        self._columns = rows.columns
        self._writer = csv.writer(self._file)
        self._writer.writerow(["line", "reason", *rows.columns])

    def write(self, row: Row, reason: str) -> None:
        self._writer.writerow([row.line, reason, *(row.cells.get(column, "") for column in self._columns)])

    def close(self) -> None:
        self._file.close()
