"""Finish answers for people: weights to persons, footprints to fractions; and write them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from oneteam.core.errors import UnknownValueError
from oneteam.store.result_files import check_suffix, write_table
from oneteam.store.tables import write_parquet
from oneteam.telecom.measures.measure import Measure
from oneteam.telecom.places.footprint import spread_by_footprint
from oneteam.telecom.population.weighting import apply_weights
from oneteam.telecom.service.measure import Answer
from oneteam.telecom.service.read_result import read_result
from oneteam.telecom.service.source import Source


@dataclass(frozen=True)
class Finished:
    """An answer as it is shown and written."""

    answer: Answer
    table: pa.Table

    @property
    def measure(self) -> Measure:
        """What was measured."""
        return self.answer.measure

    def note(self) -> str:
        """How it came about, as one line."""
        about = self.answer.about
        new = self.answer.computed_days
        return (
            f"{about['first_day']} to {about['last_day']} {about['timezone']}, engine {about['engine']}, "
            f"{new} {'day' if new == 1 else 'days'} computed, {self.answer.seconds:.2f} s"
        )

    def summary(self, written: Path | None) -> dict[str, object]:
        """For ``--json``: all rows when no file was written."""
        head: dict[str, object] = {**self.answer.about, "rows": self.table.num_rows, "seconds": round(self.answer.seconds, 3)}
        head["computed_days"] = self.answer.computed_days
        return head | ({"out": str(written)} if written else {"table": self.table.to_pylist()})


def finish(data: Path, answers: Mapping[str, Answer], *, weights: Path | None, footprint: bool) -> dict[str, Finished]:
    """Add persons, or turn counts by cell into fractions by zone, where asked for.

    Raises:
        UnknownValueError: footprints asked for where there are none, or for a measure without a single zone key.
    """
    finished = {name: Finished(answer, answer.table) for name, answer in answers.items()}
    if footprint:
        finished = {name: _by_footprint(data, each) for name, each in finished.items()}
    if weights is not None:
        table, _ = read_result(weights)
        finished = {name: replace(each, table=_weighted(each, table)) for name, each in finished.items()}
    return finished


def _by_footprint(data: Path, each: Finished) -> Finished:
    if [key.name for key in each.measure.keys if key.kind == "zone"] != ["zone"]:
        raise UnknownValueError(f"--footprint: {each.measure.name} is not counted by one zone; presence, home, work and the like are")
    source = Source.open(data, by_cell=True)
    cell_zones, zones, cells = source.table("cell_zones"), source.table("zones"), source.table("cells")
    if cell_zones is None or zones is None or cells is None:
        raise UnknownValueError(f"--footprint: {data} has no zones", hint="Ingest with --zones.")
    index = {cell_id: cell for cell, cell_id in zip(cells["cell"].to_pylist(), cells["cell_id"].to_pylist(), strict=True)}
    by_cell = each.table.append_column("cell", pa.array([index.get(z, -1) for z in each.table["zone"].to_pylist()], pa.int32()))
    times = [name for name in ("day", "hour", "month") if name in by_cell.column_names]
    active = by_cell.group_by(times).aggregate([("active", "max")]).rename_columns([*times, "active"])
    spread = spread_by_footprint(by_cell.drop_columns(["zone", "active", "share"]), cell_zones, ("value", "subscribers"))
    order = [(name, "ascending") for name in spread.column_names if name not in {"value", "subscribers"}]
    spread = spread.join(active, times, join_type="left outer").sort_by(order).combine_chunks()
    spread = spread.append_column("share", pc.divide(spread["subscribers"], spread["active"].cast(pa.float64())))
    zone = spread["zone"].combine_chunks()
    codes = zones["code"].combine_chunks().take(pc.if_else(pc.less(zone, 0), None, zone))
    table = spread.set_column(spread.column_names.index("zone"), "zone", codes)
    return replace(each, table=table)


def _weighted(each: Finished, weights: pa.Table) -> pa.Table:
    keys: tuple[Literal["home", "zone", "origin"], ...] = ("home", "zone", "origin")
    for key in keys:
        if key in each.table.column_names:
            return apply_weights(each.table, weights, by=key)
    raise UnknownValueError(f"--weights: {each.measure.name} has no zone to weight by")


def check_target(out: Path | None, names: Sequence[str]) -> None:
    """Refuse a name that cannot be written before anything is computed.

    Raises:
        UnknownValueError: a file for several measures, or a suffix that is none of a table.
    """
    if out is None or (not out.suffix and not out.is_file()):
        return
    if len(set(names)) > 1 and not out.is_dir():
        raise UnknownValueError(f"--out {out}: several measures need a folder, not a file")
    if len(set(names)) == 1:
        check_suffix(out)


def deliver(finished: Mapping[str, Finished], out: Path | None, contributions: Path | None) -> dict[str, Path]:
    """Write tables and contributions; where each table went."""
    written: dict[str, Path] = {}
    for name, each in finished.items():
        if out is not None:
            many = len(finished) > 1 or not out.suffix
            path = out / f"{name}.parquet" if many else out
            write_table(path, each.table, each.answer.about)
            written[name] = path
        if contributions is not None and each.answer.contributions is not None:
            contributions.mkdir(mode=0o700, parents=True, exist_ok=True)
            about = {**each.answer.about, "zones": json.dumps(each.answer.codes)}
            write_parquet(contributions / f"{name}.parquet", each.answer.contributions, metadata=about)
    return written
