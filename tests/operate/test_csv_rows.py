"""CSV files as people have them are read, and a bad row is told by its line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.operate.csv_rows import CsvRows, detect
from streams.operate.errors import DocumentFault, UsageFault

HEADER = "id,email,name\n"


def write(folder: Path, data: bytes) -> Path:
    """A file of these bytes."""
    path = folder / "people.csv"
    path.write_bytes(data)
    return path


def read(path: Path) -> list[tuple[int, dict[str, str], str]]:
    """All rows of a file in the encoding found out."""
    rows = CsvRows(path, encoding=detect(path))
    found = [(row.line, row.cells, row.reason) for row in rows]
    rows.close()
    return found


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "utf-16"])
def test_the_encoding_is_found_out(tmp_path: Path, encoding: str) -> None:
    """What Excel and others write in Japan is read without being told."""
    path = write(tmp_path, (HEADER + "u1,taro@docomo.example,太郎\n").encode(encoding))
    assert read(path) == [(2, {"id": "u1", "email": "taro@docomo.example", "name": "太郎"}, "")]


def test_what_is_in_no_known_encoding_is_refused(tmp_path: Path) -> None:
    """Bytes that neither UTF-8 nor cp932 has: the error says what to do."""
    with pytest.raises(DocumentFault, match="neither UTF-8 nor cp932"):
        detect(write(tmp_path, HEADER.encode() + b"u1,\x81\xad\xff\n"))


def test_a_wrong_encoding_is_told_also_late_in_the_file(tmp_path: Path) -> None:
    """A file said to be UTF-8 that isn't ends with words, not a traceback."""
    path = write(tmp_path, HEADER.encode() + b"u,a@b.example,x\n" * 2_000 + "u,a@b.example,太郎\n".encode("cp932"))
    rows = CsvRows(path, encoding="utf-8")
    with pytest.raises(DocumentFault, match="is not utf-8"):
        list(rows)
    rows.close()
    with pytest.raises(UsageFault, match="no such encoding"):
        CsvRows(path, encoding="klingon")


def test_bad_rows_keep_their_line_numbers(tmp_path: Path) -> None:
    """A row of another width is named by the line where it begins, also after a cell of several lines."""
    path = write(tmp_path, HEADER.encode() + b'u1,a@b.example,"two\nlines"\nu2,c@d.example\n\nu3,e@f.example,x\n')
    found = read(path)
    assert [(line, reason) for line, _, reason in found] == [(2, ""), (4, "2 cells under 3 columns"), (6, "")]


def test_a_quote_never_closed_is_one_bad_row(tmp_path: Path) -> None:
    """The csv module's field limit ends it; what follows is read on."""
    path = write(tmp_path, HEADER.encode() + b'u1,"a@b.example,x\n' + b"u2,c@d.example,x\n" * 20_000)
    found = read(path)
    assert any(reason.startswith("no CSV") for _, _, reason in found)
    assert found[-1][1]["id"] == "u2"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_the_headers(tmp_path: Path, delimiter: str) -> None:
    """Semicolons and tabs are taken where the header has them."""
    text = (HEADER + "u1,a@b.example,x\n").replace(",", delimiter)
    assert read(write(tmp_path, text.encode()))[0][1] == {"id": "u1", "email": "a@b.example", "name": "x"}


@pytest.mark.parametrize(("header", "words"), [(b"", "is empty"), (b"id,,x\n", "column 2"), (b"a,a\n", "'a'")])
def test_a_header_that_names_no_columns_is_refused(tmp_path: Path, header: bytes, words: str) -> None:
    """An empty file, a nameless column and a doubled one are no table."""
    with pytest.raises(DocumentFault, match=words):
        CsvRows(write(tmp_path, header), encoding="utf-8")


@given(cells=st.lists(st.tuples(*[st.text(st.characters(codec="utf-8"), max_size=20)] * 3), max_size=20))
def test_what_a_csv_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str, str]]
) -> None:
    """Any cells, with quotes, line ends and delimiters in them, come back as they were."""
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("id", "email", "name"), *cells])
    path = write(tmp_path_factory.mktemp("csv"), text.getvalue().encode())
    assert [tuple(row.values()) for _, row, _ in read(path)] == cells
