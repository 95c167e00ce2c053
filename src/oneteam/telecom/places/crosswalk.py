"""Move a result from one edition of zone codes to another.

Districts merge, split and change their code. A crosswalk says which share (by population, say) of each old code lies in each new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import MissingColumnError, UnknownValueError, WrongTypeError

_TOLERANCE: Final = 1e-6
_SHOWN: Final = 5


def recode(table: pa.Table, crosswalk: pa.Table, columns: Sequence[str], *, values: Sequence[str] = ("value",)) -> pa.Table:
    """A result table in another edition of zone codes.

    Each row is split over the new codes by weight, independently in each column; rows that now have the same keys are summed. Totals are
    kept. Integers stay integers when every weight is 1 (codes that are renamed or merged), otherwise they become float64. Numbers of
    distinct people (``subscribers``) may be moved like any other, yet a person seen in both parts of a merged zone then counts twice.

    Args:
        table: key columns and value columns; a null or empty code (an unknown zone) stays as it is.
        crosswalk: columns ``from_code``, ``to_code``, ``weight``; the weights of a ``from_code`` sum to 1.
        columns: the key columns that hold zone codes, such as ``("origin", "destination")``.
        values: the value columns; all others are keys.

    Returns:
        a table of the same columns, sorted by key.

    Raises:
        MissingColumnError: a column that is not there.
        WrongTypeError: a zone column that is not text, or a value column that is not numeric.
        UnknownValueError: codes that the crosswalk lacks, or weights that are not positive or do not sum to 1.

    >>> walk = pa.table({"from_code": ["1", "2", "3", "3"], "to_code": ["A", "A", "A", "B"], "weight": [1.0, 1.0, 0.25, 0.75]})
    >>> recode(pa.table({"zone": ["1", "2"], "value": [10, 5]}), walk, ["zone"]).to_pylist()
    [{'zone': 'A', 'value': 15}]
    >>> recode(pa.table({"zone": ["1", "3"], "value": [10, 8]}), walk, ["zone"]).to_pylist()
    [{'zone': 'A', 'value': 12.0}, {'zone': 'B', 'value': 6.0}]
    """
    _check_table(table, columns, values)
    _check_crosswalk(crosswalk)
    for column in columns:
        table = _recode_one(table, crosswalk, column, values)
    keys = [name for name in table.column_names if name not in values]
    summed = table.group_by(keys, use_threads=False).aggregate([(name, "sum") for name in values])
    ordered = summed.rename_columns([*keys, *values]).sort_by([(name, "ascending") for name in keys])
    return ordered.select(table.column_names)


def _recode_one(table: pa.Table, crosswalk: pa.Table, column: str, values: Sequence[str]) -> pa.Table:
    codes = table[column]
    filled = pc.and_(pc.is_valid(codes), pc.not_equal(pc.fill_null(codes, ""), ""))
    order = pc.sort_indices(crosswalk, sort_keys=[("from_code", "ascending"), ("to_code", "ascending")])
    walk = crosswalk.take(order)
    starts = walk["from_code"].combine_chunks().dictionary_encode()
    index = pc.index_in(codes.cast(starts.dictionary.type), starts.dictionary)
    lost = pc.unique(codes.filter(pc.and_(filled, pc.is_null(index)))).to_pylist()
    if lost:
        listed = ", ".join(sorted(lost)[:_SHOWN]) + (", ..." if len(lost) > _SHOWN else "")
        raise UnknownValueError(
            f"column {column!r}: {len(lost)} codes that the crosswalk lacks: {listed}",
            hint="Give each of them a row in the crosswalk, with weight 1 where nothing has changed.",
        )
    sizes = np.bincount(starts.indices.to_numpy(), minlength=len(starts.dictionary))
    position = np.asarray(pc.fill_null(index, -1).to_numpy(), dtype=np.int64)
    repeats = np.where(position >= 0, sizes[position], 1)
    source = np.repeat(np.arange(table.num_rows), repeats)
    within = np.arange(len(source)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    first = np.cumsum(sizes) - sizes
    entry = np.where(position[source] >= 0, first[position[source]] + within, -1)
    moved = walk["to_code"].cast(codes.type).take(pa.array(entry, mask=entry < 0))
    split = table.take(pa.array(source))
    split = split.set_column(split.column_names.index(column), column, pc.if_else(pa.array(entry >= 0), moved, split[column]))
    weight = np.where(entry >= 0, walk["weight"].to_numpy()[entry], 1.0)
    if (weight == 1.0).all():
        return split
    for name in values:
        shared = pc.multiply(split[name].cast(pa.float64()), pa.array(weight))
        split = split.set_column(split.column_names.index(name), name, shared)
    return split


def _check_table(table: pa.Table, columns: Sequence[str], values: Sequence[str]) -> None:
    absent = [name for name in (*columns, *values) if name not in table.column_names]
    if absent:
        raise MissingColumnError(f"the table has no column {', '.join(absent)}; its columns are: {', '.join(table.column_names)}")
    for name in columns:
        if not (pa.types.is_string(table[name].type) or pa.types.is_large_string(table[name].type)):
            raise WrongTypeError(f"column {name!r} is {table[name].type}, must be text: zone codes are text")
    for name in values:
        if not (pa.types.is_integer(table[name].type) or pa.types.is_floating(table[name].type)):
            raise WrongTypeError(f"column {name!r} is {table[name].type}, must be numeric")


def _check_crosswalk(crosswalk: pa.Table) -> None:
    absent = [name for name in ("from_code", "to_code", "weight") if name not in crosswalk.column_names]
    if absent:
        raise MissingColumnError(f"the crosswalk has no column {', '.join(absent)}")
    sums = crosswalk.group_by("from_code").aggregate([("weight", "sum"), ("weight", "min")])
    wrong = [
        f"{code} ({total:g})"
        for code, total, least in zip(*(sums[name].to_pylist() for name in ("from_code", "weight_sum", "weight_min")), strict=True)
        if not (abs(total - 1) <= _TOLERANCE and least > 0)
    ]
    if wrong:
        listed = ", ".join(sorted(wrong)[:_SHOWN]) + (", ..." if len(wrong) > _SHOWN else "")
        raise UnknownValueError(f"the crosswalk's weights must be positive and sum to 1 for each from_code; they do not for: {listed}")
