"""What a telecom dataset says of itself: the manifest's settings and the record of what was ingested."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from oneteam.store.tables import Manifest


class SourceRecord(BaseModel):
    """One ingested input file: what it was, and how many of its rows went where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: str
    rows: int
    accepted: int
    rejected: dict[str, int] = Field(default={}, description="rows by reason")
    first_day: str | None = None
    last_day: str | None = None


class TelecomManifest(Manifest):
    """Manifest of a telecom dataset.

    ``tables`` holds ``events``, ``inbound`` and ``outbound`` (partition: local day, ISO), ``subscribers`` (partition: ingestion number),
    ``cells``, ``cell_zones``, ``cell_zones_given`` (the carrier's own lookup, obeyed again when the topology grows) and ``zones``
    (partition: empty string), ``quarantine`` (partition: ingestion number).
    """

    timezone: str = "Asia/Seoul"
    mcc: int = Field(default=450, description="mobile country code of the own network")
    zone_version: str | None = Field(default=None, description="which edition of the zone codes the lookup speaks")
    sources: dict[str, SourceRecord] = Field(default={}, description="by SHA-256 of a file's content and of the settings it was read with")

    def days(self, table: str = "events") -> list[str]:
        """Local days that hold rows, in order."""
        return sorted(self.tables.get(table, {}))
