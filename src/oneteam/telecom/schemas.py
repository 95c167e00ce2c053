"""The tables of a telecom dataset, as stored after ingestion.

Column names follow the Eurostat multi-MNO reference pipeline where it has them. A ``subscriber`` is a 64-bit hash of the carrier's own
pseudonymous ``user_id``; only the table ``subscribers``, which never leaves the carrier, leads back to it. A ``cell`` is a dense integer
code that stands for one ``cell_id`` for as long as the dataset lives.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

EVENTS: Final = pa.schema(
    [
        pa.field("subscriber", pa.int64(), nullable=False),
        pa.field("timestamp", TIMESTAMP, nullable=False),
        pa.field("cell", pa.int32(), nullable=False),
    ]
)
"""Own subscribers on the own network. One file per local day, sorted by (subscriber, timestamp, cell), without duplicates."""

INBOUND: Final = pa.schema(
    [
        *EVENTS,
        pa.field("mcc", pa.int16(), nullable=False),
        pa.field("mnc", pa.int16(), nullable=True),
        pa.field("country", pa.string(), nullable=True),
    ]
)
"""Foreign subscribers on the own network; ``mcc``/``mnc``/``country`` (ISO 3166-1 alpha-2) of their home network. Sorted like `EVENTS`."""

OUTBOUND: Final = pa.schema(
    [
        pa.field("subscriber", pa.int64(), nullable=False),
        pa.field("timestamp", TIMESTAMP, nullable=False),
        pa.field("utc_offset_min", pa.int16(), nullable=False),
        pa.field("plmn", pa.int32(), nullable=True),
        pa.field("country", pa.string(), nullable=False),
        pa.field("event_type", pa.string(), nullable=True),
    ]
)
"""Own subscribers seen abroad; the visited network's PLMN and country. One file per local day *at home*, sorted by
(subscriber, timestamp)."""

SUBSCRIBERS: Final = pa.schema(
    [
        pa.field("subscriber", pa.int64(), nullable=False),
        pa.field("user_id", pa.binary(), nullable=False),
    ]
)
"""The way back from ``subscriber`` to the carrier's ``user_id`` (its bytes; UTF-8 where it was text). One file per ingestion."""

CELLS: Final = pa.schema(
    [
        pa.field("cell", pa.int32(), nullable=False),
        pa.field("cell_id", pa.string(), nullable=False),
        pa.field("valid_date_start", pa.date32(), nullable=True),
        pa.field("valid_date_end", pa.date32(), nullable=True),
        pa.field("latitude", pa.float64(), nullable=True),
        pa.field("longitude", pa.float64(), nullable=True),
        pa.field("directionality", pa.int32(), nullable=True),
        pa.field("azimuth_angle", pa.float64(), nullable=True),
        pa.field("horizontal_beam_width", pa.float64(), nullable=True),
        pa.field("power", pa.float64(), nullable=True),
        pa.field("range", pa.float64(), nullable=True),
        pa.field("technology", pa.string(), nullable=True),
    ]
)
"""Network topology, one row per cell and validity period (both ends inclusive, null = open). ``range`` in metres, ``power`` in watts,
angles in degrees (azimuth clockwise from north). A cell without coordinates has nulls; its events still count by cell."""

CELL_ZONES: Final = pa.schema(
    [
        pa.field("cell", pa.int32(), nullable=False),
        pa.field("valid_date_start", pa.date32(), nullable=True),
        pa.field("valid_date_end", pa.date32(), nullable=True),
        pa.field("zone", pa.int32(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
    ]
)
"""Which zones a cell serves, with the share of its footprint in each (sums to 1 over a cell and period). The zone of largest weight, the
lower index on ties, is *the* zone of the cell."""

ZONES: Final = pa.schema(
    [
        pa.field("zone", pa.int32(), nullable=False),
        pa.field("code", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=True),
        pa.field("region", pa.string(), nullable=True),
        pa.field("population", pa.float64(), nullable=True),
        pa.field("jobs", pa.float64(), nullable=True),
        pa.field("latitude", pa.float64(), nullable=True),
        pa.field("longitude", pa.float64(), nullable=True),
        pa.field("geometry", pa.binary(), nullable=True),
    ]
)
"""Zones in the order of their file; ``zone`` is the row number, ``code`` the official code within the dataset's zone version, ``geometry``
well-known binary in WGS 84."""

DELTA: Final = {"events": ("timestamp",), "inbound": ("timestamp",), "outbound": ("timestamp",)}
"""Columns written with DELTA_BINARY_PACKED."""
