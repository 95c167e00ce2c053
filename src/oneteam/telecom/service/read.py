"""Find a carrier's files, say what they are before anything is changed, and read them batch by batch."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Literal, cast

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from oneteam.core.errors import EncodingError, FileUnreadableError, InputError, MissingColumnError, NothingFoundError
from oneteam.store.tables import sha256_of
from oneteam.telecom.ingestion.mapping import Mapping, load_mapping, schema_mapping

_SUFFIXES: Final = (".parquet", ".csv", ".csv.gz")
_CSV_BLOCK: Final = 16 * 1024 * 1024
_READ_BLOCK: Final = 4 * 1024 * 1024

Format = Literal["parquet", "csv"]
Batch = tuple[int, Callable[[], pa.Table]]
"""Number of a batch's first row in its file, from 1, and the function that loads it."""


@dataclass(frozen=True)
class Source:
    """One input file that has passed the check of the whole file.

    Args:
        path: where it is.
        schema: name of the schema, or path of the mapping file.
        mapping: what its columns mean.
        format: parquet or csv.
        encoding: of a CSV file.
        fingerprint: SHA-256 of its content and of the settings it is read with.
        rows: as its footer says; None for CSV.
    """

    path: Path
    schema: str
    mapping: Mapping
    format: Format
    encoding: str
    fingerprint: str
    rows: int | None

    @property
    def name(self) -> str:
        """The path as text, for reports."""
        return str(self.path)


@dataclass
class BadRows:
    """Lines of a CSV file that do not have as many fields as its header."""

    lines: list[tuple[int, str]] = field(default_factory=list)


def find_files(sources: Sequence[Path]) -> list[Path]:
    """Files to read: those named, and every .parquet, .csv and .csv.gz below the folders named, in the order of their names.

    Names that start with a dot or an underscore are left out.

    Raises:
        FileUnreadableError: a path does not exist, or is a file of another form.
        NothingFoundError: no file at all.
    """
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            below = sorted(p for p in source.rglob("*") if p.name.endswith(_SUFFIXES) and p.is_file())
            found += [p for p in below if not any(part[0] in "._" for part in p.relative_to(source).parts)]
        elif not source.exists():
            raise FileUnreadableError(f"{source}: no such file or folder")
        elif not source.name.endswith(_SUFFIXES):
            raise FileUnreadableError(f"{source}: neither .parquet nor .csv nor .csv.gz")
        else:
            found.append(source)
    if not found:
        raise NothingFoundError(f"{', '.join(map(str, sources)) or 'no source'}: holds no .parquet, .csv or .csv.gz file")
    return list(dict.fromkeys(found))


def fingerprint(path: Path, settings: str) -> str:
    """SHA-256 of a file's content together with the settings that decide how it is read."""
    try:
        return hashlib.sha256(f"{sha256_of(path)}\n{settings}".encode()).hexdigest()
    except OSError as err:
        raise FileUnreadableError(f"{path}: cannot be read: {err.strerror}") from err


def inspect(path: Path, schema: str, mark: str) -> Source:
    """Check a file as a whole, before anything is changed: its form, its encoding, its columns.

    Args:
        path: the file.
        schema: name of a schema, path of a mapping file, or "auto".
        mark: its `fingerprint`.

    Raises:
        FileUnreadableError: empty, truncated, or not of the format that its name claims.
        EncodingError: a CSV file that is neither UTF-8 nor CP949.
        MissingColumnError: a column that the schema needs is absent.
    """
    if path.stat().st_size == 0:
        raise FileUnreadableError(f"{path}: the file is empty", hint="Copy it again, or leave it out.")
    if path.name.endswith(".parquet"):
        try:
            parquet = pq.ParquetFile(path)
            columns, rows = parquet.schema_arrow.names, parquet.metadata.num_rows
        except (pa.ArrowInvalid, OSError) as err:
            raise _broken_parquet(path, err) from err
        name, mapping = schema_mapping(schema, columns, str(path))
        return Source(path, name, mapping, "parquet", "", mark, rows)
    draft = load_mapping(Path(schema)) if schema.endswith(".toml") else None
    encoding = _encoding_of(path, "auto" if draft is None else draft.encoding)
    header = list(draft.column_names) if draft is not None and draft.column_names else _header(path, encoding, draft)
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise MissingColumnError(f"{path}: two columns are called {twice!r}")
    name, mapping = schema_mapping(schema, header, str(path))
    return Source(path, name, mapping, "csv", encoding, mark, None)


def _broken_parquet(path: Path, err: Exception) -> FileUnreadableError:
    hint = "Copy it again; a truncated copy is the usual cause."
    return FileUnreadableError(f"{path}: not a whole Parquet file", hint=hint, detail=str(err))


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.name.endswith(".gz") else path.open("rb")


def _encoding_of(path: Path, wanted: str) -> str:
    tries = ("utf-8", "cp949") if wanted == "auto" else (wanted,)
    faults = []
    for encoding in tries:
        decoder = codecs.getincrementaldecoder(encoding)()
        at = 0
        try:
            with _open(path) as file:
                while block := file.read(_READ_BLOCK):
                    decoder.decode(block)
                    at += len(block)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError as err:
            faults.append(f"{encoding} fails near byte {at + err.start:,}")
        except (EOFError, zlib.error, gzip.BadGzipFile) as err:
            raise FileUnreadableError(f"{path}: not a whole gzip file", hint="Copy it again.", detail=str(err)) from err
        else:
            return encoding
    raise EncodingError(f"{path}: neither UTF-8 nor CP949 text ({'; '.join(faults)})", hint="Save it as UTF-8.")


def _header(path: Path, encoding: str, mapping: Mapping | None) -> list[str]:
    with _open(path) as file:
        line = file.readline(1 << 20).decode("utf-8-sig" if encoding == "utf-8" else encoding).rstrip("\r\n")
    delimiter = "," if mapping is None else mapping.delimiter
    if not line:
        raise FileUnreadableError(f"{path}: the first line is empty; the names of the columns were expected there")
    parsed = pcsv.read_csv(
        io.BytesIO((line + "\n").encode()),
        read_options=pcsv.ReadOptions(autogenerate_column_names=True),
        parse_options=pcsv.ParseOptions(delimiter=delimiter),
        convert_options=pcsv.ConvertOptions(column_types={f"f{i}": pa.string() for i in range(line.count(delimiter) + 1)}),
    )
    return ["" if column[0].as_py() is None else str(column[0].as_py()) for column in parsed.columns]


def read_whole(source: Source) -> tuple[pa.Table, BadRows]:
    """All rows of a small file, such as a topology."""
    bad = BadRows()
    parts = [load() for _, load in batches(source, 1 << 20, bad)]
    return pa.concat_tables(part.cast(_plain_schema(part.schema)) for part in parts), bad


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    return pa.schema([f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in schema])


def batches(source: Source, batch_rows: int, bad: BadRows) -> Iterator[Batch]:
    """The file in batches, each as a function that loads it, so that several can load at once.

    Args:
        source: the file.
        batch_rows: about how many rows a batch shall have.
        bad: filled with the lines of a CSV file that are no rows.

    Raises:
        FileUnreadableError: damage that shows only inside the file; also raised by the functions.
    """
    return _csv_batches(source, bad) if source.format == "csv" else _parquet_batches(source, batch_rows)


def _parquet_batches(source: Source, batch_rows: int) -> Iterator[Batch]:
    parquet = pq.ParquetFile(source.path)
    names = set(parquet.schema_arrow.names)
    columns = [name for name in source.mapping.source_columns() if name in names]
    coded = _dictionary_columns(source.mapping, parquet)
    metadata = parquet.metadata
    if metadata.num_rows == 0:
        yield 1, lambda: parquet.read(columns=columns)
        return
    groups: list[int] = []
    held, first = 0, 1
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if groups and held + rows > batch_rows:
            yield first, _group_loader(source.path, metadata, groups, columns, coded)
            groups, held, first = [], 0, first + held
        if rows > 4 * batch_rows:
            yield from _slices(source.path, group, columns, coded, batch_rows, first)
            first += rows
        else:
            groups, held = [*groups, group], held + rows
    if groups:
        yield first, _group_loader(source.path, metadata, groups, columns, coded)


def _dictionary_columns(mapping: Mapping, parquet: pq.ParquetFile) -> list[str]:
    """Text columns with few distinct values, which are read as codes rather than as text."""
    schema = parquet.schema_arrow
    few = {s for name in ("cell_id", "mcc", "mnc", "plmn", "country", "event_type") for s in mapping.sources_of(name)}
    return [f.name for f in schema if f.name in few and (pa.types.is_string(f.type) or pa.types.is_large_string(f.type))]


def _group_loader(path: Path, metadata: Any, groups: list[int], columns: list[str], coded: list[str]) -> Callable[[], pa.Table]:
    def load() -> pa.Table:
        try:
            parquet = pq.ParquetFile(path, metadata=metadata, read_dictionary=coded)
            return parquet.read_row_groups(groups, columns=columns, use_threads=False)
        except (pa.ArrowInvalid, OSError) as err:
            raise _broken_parquet(path, err) from err

    return load


def _slices(path: Path, group: int, columns: list[str], coded: list[str], batch_rows: int, first: int) -> Iterator[Batch]:
    parquet = pq.ParquetFile(path, read_dictionary=coded)
    try:
        for batch in parquet.iter_batches(batch_size=batch_rows, row_groups=[group], columns=columns):
            yield first, _held(batch)
            first += batch.num_rows
    except (pa.ArrowInvalid, OSError) as err:
        raise _broken_parquet(path, err) from err


def _held(batch: pa.RecordBatch) -> Callable[[], pa.Table]:
    table = pa.Table.from_batches([batch])
    return lambda: table


def _csv_batches(source: Source, bad: BadRows) -> Iterator[Batch]:
    mapping = source.mapping

    def skip(row: pcsv.InvalidRow) -> str:
        bad.lines.append((-1 if row.number is None else row.number, row.text))
        return "skip"

    columns = mapping.source_columns()
    with _open(source.path) as raw:
        try:
            head = _header_names(source, mapping)
            reader = pcsv.open_csv(
                pa.PythonFile(raw, mode="r") if source.path.name.endswith(".gz") else str(source.path),
                read_options=pcsv.ReadOptions(block_size=_CSV_BLOCK, encoding=source.encoding, column_names=mapping.column_names or None),
                parse_options=pcsv.ParseOptions(delimiter=mapping.delimiter, invalid_row_handler=skip),
                convert_options=pcsv.ConvertOptions(
                    include_columns=[name for name in columns if name in head],
                    column_types=dict.fromkeys(columns, pa.string()),
                    null_values=list(mapping.null_values),
                    strings_can_be_null=True,
                ),
            )
            first = 1
            for batch in reader:
                yield first, _held(batch)
                first += batch.num_rows
        except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as err:
            raise FileUnreadableError(f"{source.path}: cannot be read to its end", hint="Copy it again.", detail=str(err)) from err
        except pa.ArrowInvalid as err:
            raise FileUnreadableError(f"{source.path}: not CSV as the mapping says it is: {err}") from err


def _header_names(source: Source, mapping: Mapping) -> set[str]:
    return set(mapping.column_names) or set(_header(source.path, source.encoding, mapping))


def in_order(loaders: Iterator[Callable[[], Any]], workers: int, ahead: int) -> Iterator[Any]:
    """Run functions on threads, and give their results in order; at most ``ahead`` of them are held."""
    with ThreadPoolExecutor(workers) as pool:
        waiting = []
        try:
            for load in loaders:
                waiting.append(pool.submit(load))
                if len(waiting) > ahead:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def gather(errors: dict[Path, InputError]) -> InputError:
    """One error for all files that cannot be used: of their common class where they have one.

    >>> gather({Path("a"): FileUnreadableError("a: broken"), Path("b"): EncodingError("b: not text")}).message
    '2 files cannot be used; nothing was changed: a: broken; b: not text'
    """
    if len(errors) == 1:
        return next(iter(errors.values()))
    kinds = {type(error) for error in errors.values()}
    kind = kinds.pop() if len(kinds) == 1 else InputError
    text = "; ".join(error.message for error in errors.values())
    hints = list(dict.fromkeys(error.hint for error in errors.values() if error.hint))
    return kind(f"{len(errors)} files cannot be used; nothing was changed: {text}", hint=" ".join(hints[:2]))
