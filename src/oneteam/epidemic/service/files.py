"""Reading and writing the part's files: target data, locations, forecasts; Parquet or CSV.

Whatever is written is written whole or not at all.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from oneteam.core.errors import FileUnreadableError, NothingFoundError, UnknownValueError
from oneteam.epidemic.hub.columns import as_days, as_floats, as_ints, as_text
from oneteam.epidemic.hub.forecasts import FORECAST_SCHEMA, QuantileForecasts, forecast_table, parse_forecasts
from oneteam.epidemic.hub.locations import Locations, locations_table, parse_locations
from oneteam.epidemic.hub.target_data import TargetData, parse_target_data
from oneteam.store.result_files import write_table
from oneteam.store.rows import read_text
from oneteam.store.tables import read_parquet, write_parquet

MODEL_OUTPUT: Final = "model-output"
SUFFIXES: Final = (".parquet", ".csv")
_DATED: Final = re.compile(r"^\d{4}-\d{2}-\d{2}-(?P<model>.+)$")


def read_table(path: Path) -> pa.Table:
    """A Parquet or CSV file as a table; the fields of a CSV file stay text, so that a code keeps its leading zeros.

    Raises:
        FileUnreadableError: no such file, or neither format.
        EncodingError: a CSV file that is neither UTF-8 nor CP949.
        NothingFoundError: no row.
    """
    if path.suffix == ".parquet":
        table = read_parquet(path)
    elif path.suffix in {".csv", ".txt"}:
        table = _read_csv(path)
    else:
        raise FileUnreadableError(f"{path}: must be a .parquet or .csv file")
    if not table.num_rows:
        raise NothingFoundError(f"{path}: holds no row")
    return table


def _read_csv(path: Path) -> pa.Table:
    content = read_text(path)
    header = [name.strip().strip('"') for name in content.split("\n", 1)[0].split(",")]
    options = pcsv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
    try:
        return pcsv.read_csv(io.BytesIO(content.encode()), convert_options=options)
    except pa.ArrowInvalid as err:
        raise FileUnreadableError(f"{path}: not a CSV file: {err}") from err


def read_target_data(path: Path, *, target: str | None = None) -> TargetData:
    """Target data of a file; see `parse_target_data` for the columns and errors."""
    return parse_target_data(read_table(path), str(path), target=target)


def read_locations(path: Path) -> Locations:
    """Places of a file; see `parse_locations` for the columns and errors."""
    return parse_locations(read_table(path), str(path))


def write_locations(path: Path, places: Locations) -> None:
    """Write a locations file."""
    write_table(path, locations_table(places))


def forecast_files(path: Path) -> dict[str, list[Path]]:
    """Files by model: one file, a folder of one model, or a folder of models in any depth.

    A file called ``2024-01-06-NAME`` is of model NAME; any other file bears its model's name.

    Raises:
        FileUnreadableError: no such file or folder.
        NothingFoundError: a folder without any forecast file.
    """
    if path.is_file():
        return {model_of(path): [path]}
    if not path.is_dir():
        raise FileUnreadableError(f"{path}: no such file or folder")
    root = path / MODEL_OUTPUT if (path / MODEL_OUTPUT).is_dir() else path
    models: dict[str, list[Path]] = {}
    for file in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(root).parts)
        if file.suffix in SUFFIXES and file.is_file() and not hidden:
            models.setdefault(model_of(file), []).append(file)
    if not models:
        raise NothingFoundError(f"{path}: no forecast file (.parquet or .csv) in it")
    return models


def model_of(path: Path) -> str:
    """The model that a forecast file is of.

    >>> model_of(Path("x/2024-01-06-flu-net.parquet")), model_of(Path("FluSight-baseline.parquet"))
    ('flu-net', 'FluSight-baseline')
    """
    dated = _DATED.match(path.stem)
    return dated["model"] if dated else path.stem


def read_forecasts(path: Path, *, target: str | None = None) -> dict[str, QuantileForecasts]:
    """Quantile forecasts by model.

    Raises:
        FileUnreadableError, NothingFoundError: as in `forecast_files`, or a file that cannot be read.
        MissingColumnError, WrongTypeError, UnknownValueError, DuplicateCodeError: as in `parse_forecasts`.
    """
    found: dict[str, QuantileForecasts] = {}
    for model, files in forecast_files(path).items():
        tables = [_uniform(read_table(file), file) for file in files]
        where = str(files[0]) if len(files) == 1 else f"{model} ({len(files)} files)"
        found[model] = parse_forecasts(pa.concat_tables(tables), where, target=target)
    return found


def _uniform(table: pa.Table, path: Path) -> pa.Table:
    """The columns of a forecast file with one type each, quantile rows only, so that files of several makers can be joined."""
    where = str(path)
    if "output_type" in table.column_names:
        table = table.filter(pc.equal(as_text(table, ["output_type"], where), "quantile"))
    columns: dict[str, Any] = {
        "reference_date": pa.array(as_days(table, ["reference_date"], where), pa.date32()),
        "horizon": pa.array(as_ints(table, ["horizon"], where), pa.int32()),
        "location": as_text(table, ["location"], where),
        "output_type_id": pa.array(as_floats(table, ["output_type_id"], where)),
        "value": pa.array(as_floats(table, ["value"], where)),
    }
    if "target" in table.column_names:
        columns["target"] = as_text(table, ["target"], where)
    if "target_end_date" in table.column_names:
        columns["target_end_date"] = pa.array(as_days(table, ["target_end_date"], where), pa.date32())
    return pa.table(columns)


def forecast_path(folder: Path, model: str, reference_date: date) -> Path:
    """Where a model's forecast of one reference date stands below an output folder.

    >>> forecast_path(Path("out"), "oneteam-ensemble", date(2024, 1, 6)).as_posix()
    'out/model-output/oneteam-ensemble/2024-01-06-oneteam-ensemble.parquet'
    """
    return folder / MODEL_OUTPUT / model / f"{reference_date.isoformat()}-{model}.parquet"


def write_forecasts(
    folder: Path, model: str, reference_date: date, forecasts: QuantileForecasts, metadata: Mapping[str, str] | None = None
) -> Path:
    """Check and write one model's forecasts of one reference date; where they went.

    Args:
        folder: the output folder.
        model: its name.
        reference_date: of every task.
        forecasts: all tasks of that date.
        metadata: text beside the table, such as the label of its data.

    Raises:
        UnknownValueError: a task of another date, a value that is not finite, quantiles that descend.
        DiskFullError: no room; the old file stands.
    """
    others = {day for day in forecasts.reference_date.tolist() if day != reference_date}
    if others:
        raise UnknownValueError(f"{model}: forecasts for {reference_date} hold tasks of {min(others)}")
    path = forecast_path(folder, model, reference_date)
    write_parquet(path, forecast_table(forecasts).cast(FORECAST_SCHEMA), metadata=metadata)
    return path
