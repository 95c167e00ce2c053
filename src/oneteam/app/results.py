"""A Release as its readers see it: what it says, how surely, what it cost; and its estimates as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.canonical import content_id
from oneteam.core.model import Agreement, Release
from oneteam.privacy.combine import level_values
from oneteam.privacy.consistency import estimate
from oneteam.store.result_files import write_table


@dataclass(frozen=True)
class Summary:
    """What people look at first.

    Args:
        lines: in words.
        largest: the largest estimates of the finest level.
    """

    lines: tuple[str, ...]
    largest: pa.Table


def summary(release: Release, agreement: Agreement) -> Summary:
    """A Release in a few lines, and its largest estimates."""
    query = release.query
    days = f"{query.first_day}" if query.first_day == query.last_day else f"{query.first_day} to {query.last_day}"
    table = estimate(release, agreement)
    shown = table.num_rows - table["value"].null_count
    lines = [
        f"{query.measure} by {' × '.join(query.dimensions)}, {days}, from {', '.join(release.contributors)}",
        f"{shown:,} of {table.num_rows:,} cells at or above the smallest count of {release.smallest_count}",
    ]
    if release.kind == "dp":
        lines.append(f"cost: rho {release.rho:g} to each privacy unit, that is epsilon {release.epsilon:.2f} at delta {release.delta:g}")
        lines += [f"  {each.level}: sum {int(level_values(each).sum()):,}, noise ±{each.sigma:.1f} a cell" for each in release.levels]
    lines.append(release.caution)
    largest = table.take(pc.sort_indices(table, [("value", "descending")])).slice(0, 1000)
    return Summary(tuple(lines), largest.filter(pc.is_valid(largest["value"])))


def write_estimates(path: Path, release: Release, agreement: Agreement) -> None:
    """Write the finest level's consistent estimates, with where they come from.

    Raises:
        UnknownValueError: a suffix other than .parquet, .csv or .json.
    """
    query = release.query
    about = {
        "measure": query.measure,
        "release": content_id(release),
        "query": content_id(query),
        "agreement": query.agreement,
        "contributors": ", ".join(release.contributors),
        "first_day": query.first_day.isoformat(),
        "last_day": query.last_day.isoformat(),
        "rho": repr(release.rho),
        "epsilon": repr(release.epsilon),
        "delta": repr(release.delta),
        "caution": release.caution,
    }
    write_table(path, estimate(release, agreement), about)
