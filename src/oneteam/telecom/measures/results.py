"""From integer results to tables for people: codes for zones, dates for days, shares of active subscribers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oneteam.telecom.measures.measure import Measure, State

if TYPE_CHECKING:
    from numpy.typing import NDArray


def readable(measure: Measure, aggregate: pa.Table, active: pa.Table, codes: Sequence[str]) -> pa.Table:
    """The table that users get.

    Args:
        measure: what was measured.
        aggregate: integer keys, ``value``, ``subscribers``.
        active: integer time keys and ``active``.
        codes: the code of every zone (of every cell when measured by cell), by index.

    Returns:
        Keys as date, text or number, then ``value``, ``subscribers``, ``active`` (subscribers with any event in the same hour, day or
        month: read counts beside it, because sparse records measure usage) and ``share`` = subscribers / active.
    """
    columns: dict[str, pa.ChunkedArray | pa.Array] = {}
    names = pa.array([*codes], pa.string())
    for key in measure.keys:
        column = aggregate[key.name]
        match key.kind:
            case "day":
                column = column.cast(pa.date32())
            case "hour":
                column = column.cast(pa.int8())
            case "month":
                column = pa.array([f"{m // 12:04d}-{m % 12 + 1:02d}" for m in column.to_pylist()], pa.string())
            case "zone":
                column = names.take(pc.if_else(pc.less(column, 0), None, column).combine_chunks())
            case "state":
                column = pa.array([s.name.lower() for s in State], pa.string()).take(column.combine_chunks())
            case "country":
                pass
        columns[key.name] = column
    seen = _matched(aggregate, active)
    columns |= {"value": aggregate["value"], "subscribers": aggregate["subscribers"], "active": pa.array(seen, mask=seen == 0)}
    share = aggregate["subscribers"].to_numpy() / np.maximum(seen, 1)
    columns["share"] = pa.array(share, mask=seen == 0)
    return pa.table(columns)


def _matched(aggregate: pa.Table, active: pa.Table) -> NDArray[np.int64]:
    """The number of active subscribers for each row, 0 where none is known."""
    keys = [name for name in active.column_names if name != "active"]

    def packed(table: pa.Table) -> NDArray[np.int64]:
        total = np.zeros(table.num_rows, np.int64)
        for name in keys:
            total = total * 100 + table[name].to_numpy()
        return total

    known = packed(active)
    order = np.argsort(known)
    wanted = packed(aggregate)
    at = np.searchsorted(known[order], wanted)
    found = (
        (at < len(known)) & (known[order][np.minimum(at, max(len(known) - 1, 0))] == wanted) if len(known) else np.zeros(len(wanted), bool)
    )
    counts = pc.fill_null(active["active"], 0).to_numpy()
    result = np.zeros(len(wanted), np.int64)
    result[found] = counts[order][at[found]]
    return result
