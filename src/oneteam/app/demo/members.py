"""The members of the demonstration: keys, roster, and what they allow one another, by the same functions as the commands use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from oneteam.alliance.certificates import Authority
from oneteam.alliance.home import Home
from oneteam.alliance.roster import make_roster, sign_roster
from oneteam.alliance.template import read_public_zones
from oneteam.app.agreeing import keep_agreement, sign_agreement
from oneteam.app.demo.settings import AGENCY, CARRIERS, UNIVERSITY, DemoFolder
from oneteam.core.model import Agreement, Role, Text
from oneteam.privacy.agreements import quoted, smallest_threshold
from oneteam.privacy.signing import sign_document
from oneteam.store.tables import write_atomically
from oneteam.telecom.ingestion.mcc import COUNTRY_OF_MCC
from oneteam.telecom.measures.roaming import UNKNOWN_COUNTRY

NAMES: Final = {**CARRIERS, UNIVERSITY: ("University", "대학교"), AGENCY: ("Health agency", "보건당국")}
ANSWERING: Final = (*CARRIERS, UNIVERSITY)
_FILES: Final = ("member.toml", "identity.key", "roster.json", "registry.db", "registry.db-wal", "registry.db-shm")
_VALID: Final = timedelta(days=3 * 365)


def found_alliance(folder: DemoFolder, hub: str) -> None:
    """Homes with keys, the hub's certificate, a roster and two Agreements that all have signed.

    Args:
        folder: of the demonstration; carriers' data stands in their homes already.
        hub: its address.
    """
    now = datetime.now(UTC)
    authority = Authority.create("oneteam demonstration", now)
    authority.save(folder.path("tls"))
    authority.issue(["127.0.0.1", "localhost"], folder.path("tls"), now)
    homes = {name: _home(folder, name, hub) for name in NAMES}
    roster = make_roster(Text(en="Demonstration alliance", ko="시연 동맹"), [home.member for home in homes.values()])
    text: str | None = None
    for home in homes.values():
        text = sign_roster(roster, home.id, home.keys, text)
    assert text is not None
    write_atomically(folder.path("roster.json"), f"{text}\n".encode())
    for home in homes.values():
        home.keep_roster(text)
    for name, terms in (("mobility", _mobility(folder.path("country", "zones.csv"))), ("travel", _travel())):
        _agree(folder, name, homes, _agreement(homes[AGENCY].roster().id, now, terms))


def move_hub(folder: DemoFolder, hub: str) -> None:
    """Tell every member where the hub is now."""
    for name in NAMES:
        path = folder.home(name) / "member.toml"
        lines = [f"hub = {quoted(hub)}" if line.startswith("hub = ") else line for line in path.read_text(encoding="utf-8").splitlines()]
        write_atomically(path, ("\n".join(lines) + "\n").encode())


def _home(folder: DemoFolder, name: str, hub: str) -> Home:
    """A new home; what an interrupted start left of one goes."""
    where = folder.home(name)
    for left in (*(where / each for each in _FILES), *(where / "agreements").glob("*.json")):
        left.unlink(missing_ok=True)
    role: Role = "contributor" if name in CARRIERS else "helper" if name == UNIVERSITY else "recipient"
    english, korean = NAMES[name]
    Home.init(where, name, Text(en=english, ko=korean), [role], hub)
    write_atomically(where / "ca.pem", folder.path("tls", "ca.pem").read_bytes())
    text = (where / "member.toml").read_text(encoding="utf-8").replace('# hub_ca = "ca.pem"', 'hub_ca = "ca.pem"')
    if role == "contributor":
        title = f"{{ en = {quoted(f'Mobility of {english}')}, ko = {quoted(f'{korean} 이동량')} }}"
        text += f'\n[datasets.mobility]\npart = "telecom"\npath = "data"\ntitle = {title}\n'
        text += "\n# When the agency asks to tell travellers, a list for the own messaging system is written; it never leaves this home.\n"
        text += '[notices]\nenabled = true\ndataset = "mobility"\n'
    write_atomically(where / "member.toml", text.encode())
    return Home.open(where)


def _agree(folder: DemoFolder, name: str, homes: dict[str, Home], agreement: Agreement) -> None:
    """Everyone signs, and everyone keeps what all have signed."""
    path = folder.path("agreements", f"{name}.json")
    first = agreement.parties[0]
    write_atomically(path, sign_document(agreement, first, homes[first].keys).encode())
    for party in agreement.parties:
        _, text, _ = sign_agreement(homes[party], path, path, datetime.now(UTC))
        write_atomically(path, f"{text}\n".encode())
    for party in agreement.parties:
        keep_agreement(homes[party], path)


def _agreement(roster: str, now: datetime, terms: dict[str, Any]) -> Agreement:
    participants = len(CARRIERS) + 1
    return Agreement.model_validate(
        {
            "roster": roster,
            "purpose": "dpv:PublicBenefit",
            "dataset": "mobility",
            "contributors": tuple(CARRIERS),
            "helpers": (UNIVERSITY,),
            "recipients": (AGENCY,),
            "min_contributors": len(CARRIERS),
            "colluding": 1,
            "threshold": smallest_threshold(participants, 1),
            "not_before": now.replace(microsecond=0) - timedelta(days=1),
            "until": now.replace(microsecond=0) + _VALID,
        }
        | terms
    )


def _mobility(zones: Path) -> dict[str, Any]:
    """Trips between districts by week, and who is where at an hour."""
    public = read_public_zones(zones)
    regional = len(set(public.regions)) > 1
    od = ["origin=code,destination=code", "origin=code,destination=*", "origin=*,destination=code"]
    return {
        "title": {"en": "Joint mobility", "ko": "공동 이동량"},
        "rho_total": 4.0,
        "dimensions": {"zone": {"codes": public.codes, "groups": {"region": public.regions} if regional else {}}},
        "measures": (
            {
                "name": "od",
                "dimensions": ("origin", "destination"),
                "domains": {"origin": "zone", "destination": "zone"},
                "levels": (*od, *(["origin=region,destination=region"] if regional else [])),
                # A way counts once a week, however often it is gone: so much less noise is needed that all flows are told better.
                "max_keys": 6,
                "max_value": 1,
                "rho_per_release": 0.05,
                "smallest_count": 15,
                "max_days": 7,
            },
            {
                "name": "presence",
                "dimensions": ("zone",),
                "levels": ("zone=code", *(["zone=region"] if regional else [])),
                "filters": {"hour": tuple(str(hour) for hour in range(24))},
                "max_keys": 4,
                "rho_per_release": 0.02,
                "smallest_count": 15,
                "max_days": 1,
            },
        ),
    }


def _travel() -> dict[str, Any]:
    """Who comes home from where, and how many travellers are told something."""
    countries = (*sorted(set(COUNTRY_OF_MCC.values())), UNKNOWN_COUNTRY)
    by_country = {"dimensions": ("country",), "levels": ("country=code",), "smallest_count": 5}
    return {
        "title": {"en": "Travellers coming home", "ko": "귀국 여행자"},
        "rho_total": 2.0,
        # A carrier's own count of the travellers it has told.
        "single": True,
        "dimensions": {"country": {"codes": countries}},
        "measures": (
            {"name": "arrivals", "max_keys": 2, "max_value": 1, "rho_per_release": 0.03, "max_days": 7, **by_country},
            {"name": "travellers", "max_keys": 2, "max_value": 7, "rho_per_release": 0.03, "max_days": 31, **by_country},
        ),
    }
