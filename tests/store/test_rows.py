"""Small CSV files."""

import pytest

from oneteam.core.errors import DuplicateCodeError, EncodingError, FileUnreadableError, NothingFoundError, UnknownValueError, WrongTypeError
from oneteam.store.rows import read_rows


def rows_of(tmp_path, content, encoding="utf-8"):
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return read_rows(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(tmp_path, encoding, delimiter):
    table = rows_of(tmp_path, f"코드{delimiter}이름\r\n011{delimiter} 종로구 \r\n\r\n", encoding)
    assert table.columns == ("코드", "이름")
    assert [row.fields for row in table.rows] == [{"코드": "011", "이름": "종로구"}]
    assert table.rows[0].line == 2


def test_quoted_numbers_and_lines(tmp_path):
    table = rows_of(tmp_path, 'a,b\n"1,234,567.5","two\nlines"\n-3,x\n')
    assert [row.number("a") for row in table.rows] == [1234567.5, -3.0]
    assert table.rows[1].line == 4
    assert table.rows[0].number("absent") is None


@pytest.mark.parametrize("text", ["x", "nan", "inf", "1,2", "12,34", "1e999"])
def test_what_is_no_number(tmp_path, text):
    row = rows_of(tmp_path, f'a,b\n"{text}",1\n').rows[0]
    with pytest.raises(WrongTypeError, match=r"t\.csv, row 2: a is '"):
        row.number("a")


def test_bounds(tmp_path):
    row = rows_of(tmp_path, "a\n-5\n").rows[0]
    with pytest.raises(UnknownValueError, match="a is -5, must be at least 0"):
        row.number("a", 0)
    with pytest.raises(UnknownValueError, match="between 0 and 1"):
        row.number("a", 0, 1)


def test_dates(tmp_path):
    row = rows_of(tmp_path, "a,b\n2020-01-31,31.1.2020\n").rows[0]
    assert str(row.day("a")) == "2020-01-31"
    with pytest.raises(WrongTypeError, match="must be a date like"):
        row.day("b")


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", NothingFoundError, "no row"),
        ("a,b\n", NothingFoundError, "no row"),
        ("a,b\n1\n", WrongTypeError, "row 2: has 1 fields, the header has 2"),
        ("a,a\n1,2\n", DuplicateCodeError, "column a stands twice"),
        ('a,b\n"1,2\n', FileUnreadableError, "not CSV"),
        (b"PAR1\x00\x00", FileUnreadableError, "not a text file"),
        (b"a\n\xff\x80\n", EncodingError, "neither UTF-8 nor CP949"),
    ],
)
def test_broken(tmp_path, content, error, message):
    with pytest.raises(error, match=message):
        rows_of(tmp_path, content)
