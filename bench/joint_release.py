"""How good a joint origin-destination Release is: three carriers and a noise-only helper, 250 x 250 zones, one day.

Trips of one day are drawn from a gravity model of an invented country; every subscriber belongs to one of three carriers. Each carrier's
real gate bounds, noises and masks its table, the helper's adds noise, the recipient unmasks the sum and makes it consistent. Compared with:

- a trusted curator, who sees all rows and adds noise once at the same cost;
- what is customary: pooled counts of at most 15 people are hidden, without noise and without any guarantee.

``error_vs_curator`` is the root mean square error of the released counts, over all cells of all levels, against their exact bounded sums,
divided by the curator's. All other errors are L1 distances of the consistent estimates from the true table, as a share of all trips: of
the 62,500 cells (fine), of regions by regions (coarse), of origins and destinations (margin); ``*_vs_curator`` compares estimates too. K,
rho and the levels are fixed below, and the shares of rho and the estimator's settings in the library; they were chosen on other countries
than the one measured here.

    python bench/joint_release.py [--repeats 3] [--sizes 20000 200000 2000000]

The last line is one JSON document: the figures of 200,000 subscribers, and of every size under ``sizes``.
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from oneteam.core.keys import Keys
from oneteam.core.model import Agreement, Query, Release
from oneteam.privacy.accounting import epsilon_of
from oneteam.privacy.agreements import agreement_id, threshold_of
from oneteam.privacy.book import BOOK_SCHEMA, AgreementBook
from oneteam.privacy.combine import joint_release, level_values, verify_release
from oneteam.privacy.consistency import Observation, consistent, estimates
from oneteam.privacy.contributions import Contributions
from oneteam.privacy.gate import Gate
from oneteam.privacy.ledger import Ledger
from oneteam.privacy.levels import Domain, parse_level
from oneteam.privacy.mechanism import Plan, noised_levels, plan_of, sampling_secret, true_levels
from oneteam.privacy.policy import LocalLimits
from oneteam.privacy.requests import RoundPlan, make_request, sign_request
from oneteam.privacy.signing import sign_document
from oneteam.store.audit_log import AuditLog, origin_of
from oneteam.store.registry import Registry
from oneteam.synth.geometry import settle
from oneteam.synth.gravity import Flows, make_flows
from oneteam.synth.zones import Zones, generate_zones

ZONES = 250
CARRIERS = ("skylark", "horizon", "bluewave")
SHARES = (0.45, 0.30, 0.25)
HELPER, AGENCY = "campus", "agency"
RHO = 0.0284
DELTA = 1e-7
MAX_KEYS = 3
"""Home to work, on to a third place, and home: three legs."""
LEVELS = (
    "origin=code,destination=code",
    "origin=region,destination=region",
    "origin=code,destination=*",
    "origin=*,destination=code",
)
SMALLEST = 15
DAY = date(2026, 5, 6)
COUNTRY = 45


@dataclass(frozen=True)
class Trips:
    """Distinct trips of one day: who, from where, to where; subscribers ascending."""

    subscriber: np.ndarray
    origin: np.ndarray
    destination: np.ndarray

    def table(self) -> np.ndarray:
        """Travellers by origin and destination."""
        return np.bincount(self.origin * ZONES + self.destination, minlength=ZONES**2).reshape(ZONES, ZONES).astype(np.float64)

    def of(self, chosen: np.ndarray) -> Contributions:
        """The rows of some, as a carrier's part would give them."""
        keys = {"origin": self.origin[chosen].astype(np.int32), "destination": self.destination[chosen].astype(np.int32)}
        return Contributions(self.subscriber[chosen], keys, np.ones(int(chosen.sum()), np.int64))


def drawn(cumulative: np.ndarray, origin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A destination for everyone, from the distribution of where they are."""
    found, order, chance = np.empty(len(origin), np.int64), np.argsort(origin, kind="stable"), rng.random(len(origin), np.float32)
    bounds = np.searchsorted(origin[order], np.arange(ZONES + 1))
    for zone in range(ZONES):
        here = order[bounds[zone] : bounds[zone + 1]]
        found[here] = np.minimum(np.searchsorted(cumulative[zone], chance[here], side="right"), ZONES - 1)
    return found


def day_of(zones: Zones, flows: Flows, people: int, seed: int) -> Trips:
    """One weekday: work, school or leisure, for some a second and a third place, then home."""
    rng = np.random.default_rng(seed)
    home = rng.choice(ZONES, people, p=zones.population / zones.population.sum())
    kind, out = rng.random(people), rng.random(people)
    works, learns = kind < 0.49, (kind >= 0.49) & (kind < 0.65)
    first = home.copy()
    for who, flow, share in ((works, flows.work, 0.85), (learns, flows.school, 0.85), (~works & ~learns, flows.leisure, 0.55)):
        goes = who & (out < share)
        first[goes] = drawn(flow, home[goes], rng)
    second = np.where(rng.random(people) < 0.3, drawn(flows.leisure, np.where(rng.random(people) < 0.5, first, home), rng), first)
    third = np.where(rng.random(people) < 0.08, drawn(flows.leisure, second, rng), second)
    third = np.where(rng.random(people) < 0.01, drawn(flows.far, home, rng), third)
    stops = np.stack([home, first, second, third, home])
    origin, destination = stops[:-1].reshape(-1), stops[1:].reshape(-1)
    moves = origin != destination
    who = np.tile(np.arange(people), 4)
    key = np.unique((who * ZONES + origin)[moves] * ZONES + destination[moves])
    return Trips(key // ZONES**2, key // ZONES % ZONES, key % ZONES)


def agreed(zones: Zones) -> Agreement:
    """What three carriers, a university and an agency sign."""
    return Agreement.model_validate(
        {
            "title": {"en": "Daily trips between districts", "ko": "시군구 간 일별 통행"},
            "roster": "ab" * 32,
            "purpose": "dpv:PublicBenefit",
            "dataset": "mobility",
            "contributors": CARRIERS,
            "helpers": (HELPER,),
            "recipients": (AGENCY,),
            "delta": DELTA,
            "rho_total": 100.0,
            "not_before": datetime.now(UTC) - timedelta(days=1),
            "until": datetime.now(UTC) + timedelta(days=1),
            "min_contributors": 3,
            "colluding": 1,
            "threshold": 3,
            "dimensions": {"zone": {"codes": zones.codes, "groups": {"region": zones.regions}}},
            "measures": (
                {
                    "name": "od",
                    "dimensions": ("origin", "destination"),
                    "domains": {"origin": "zone", "destination": "zone"},
                    "levels": LEVELS,
                    "max_keys": MAX_KEYS,
                    "rho_per_release": RHO,
                    "max_days": 1,
                },
            ),
        }
    )


class Alliance:
    """Real gates over rows in memory."""

    def __init__(self, folder: Path, agreement: Agreement, rows: dict[str, Contributions]) -> None:
        self.agreement = agreement
        self.keys = {name: Keys.generate() for name in agreement.parties}
        self.secrets = {name: secrets.token_bytes(32) for name in agreement.participants}
        signed = None
        for name in agreement.parties:
            signed = sign_document(agreement, name, self.keys[name], signed)
        self.gates, self.registries = {}, []
        for name in agreement.participants:
            registry = Registry.open(folder / f"{name}.db", schemas=[BOOK_SCHEMA])
            self.registries.append(registry)
            book = AgreementBook(registry, self.lookup)
            book.add(signed)
            self.gates[name] = Gate(
                me=name,
                keys=self.keys[name],
                registry=registry,
                log=AuditLog(registry, origin_of(name), self.keys[name]),
                ledger=Ledger(registry),
                book=book,
                lookup=self.lookup,
                limits=LocalLimits,
                source=lambda _query, _agreement, name=name: rows[name],
                now=lambda: datetime.now(UTC),
                secret=self.secrets[name],
            )

    def lookup(self, name: str):
        return self.keys[name].public if name in self.keys else None

    def release(self, query: Query) -> Release:
        """One round of the secure sum."""
        agreement = self.agreement
        plan = RoundPlan(
            round_id=secrets.token_hex(16),
            participants=agreement.participants,
            threshold=threshold_of(agreement),
            colluding=agreement.colluding,
        )
        request = make_request(query, AGENCY, datetime.now(UTC), plan=plan)
        text = sign_request(request, self.keys[AGENCY])
        openings = [gate.open_round(text) for gate in self.gates.values()]
        shares = [gate.share(plan.round_id, openings) for gate in self.gates.values()]
        headers = [share.header for share in shares]
        reveals = [gate.reveal(plan.round_id, headers) for gate in self.gates.values()]
        made = joint_release(
            request,
            agreement,
            keys=self.keys[AGENCY],
            lookup=self.lookup,
            openings=openings,
            shares=shares,
            reveals=reveals,
            now=datetime.now(UTC),
        )
        verify_release(made, self.lookup)
        return made

    def close(self) -> None:
        for gate in self.gates.values():
            gate.close()
        for registry in self.registries:
            registry.close()


def errors(domain: Domain, table: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """L1 errors as shares of all trips."""
    off = {level: float(np.abs(domain.coarsen(parse_level(level), table - truth)).sum() / truth.sum()) for level in LEVELS}
    fine, coarse, origin, destination = (off[level] for level in LEVELS)
    return {"fine": fine, "coarse": coarse, "margin": (origin + destination) / 2}


def standardised(tables: list[np.ndarray], truth: list[np.ndarray], plan: Plan) -> float:
    """Root mean square of the noise over all cells, in a curator's sigmas."""
    off = [((t - x) / b.sigma) ** 2 for t, x, b in zip(tables, truth, plan.budgets, strict=True)]
    return float(np.sqrt(np.concatenate(off).mean()))


def measured(zones: Zones, trips: Trips, people: int, repeats: int, folder: Path) -> dict[str, float]:
    """The figures of one size."""
    agreement = agreed(zones)
    query = Query(
        agreement=agreement_id(agreement),
        purpose=agreement.purpose,
        measure="od",
        dimensions=("origin", "destination"),
        levels=LEVELS,
        first_day=DAY,
        last_day=DAY,
        rho=RHO,
        owners=CARRIERS,
    )
    plan = plan_of(query, agreement)
    truth = trips.table()
    carrier = np.random.default_rng(people).choice(len(CARRIERS), people, p=SHARES)[trips.subscriber]
    rows = {name: trips.of(carrier == i) for i, name in enumerate(CARRIERS)}
    box = Alliance(folder, agreement, rows)
    everyone = trips.of(np.ones(len(trips.subscriber), np.bool_))
    pooled = true_levels(plan, everyone, secrets.token_bytes(16))
    per_member = [true_levels(plan, rows[name], sampling_secret(box.secrets[name], plan.query_id)) for name in CARRIERS]
    summed = [np.sum(tables, axis=0) for tables in zip(*per_member, strict=True)]
    joint, curator, noise, seconds = [], [], [], []
    for _ in range(repeats):
        began = time.perf_counter()
        release = box.release(query)
        seconds.append(time.perf_counter() - began)
        found = next(each for each in estimates(release, agreement) if each.level.is_finest).values
        joint.append(errors(plan.domain, found, truth))
        by_curator = noised_levels(pooled, [b.sigma for b in plan.budgets])
        shapes = [plan.domain.shape_of(b.level) for b in plan.budgets]
        seen = [Observation(b.level, t.reshape(s).astype(float), b.sigma) for b, t, s in zip(plan.budgets, by_curator, shapes, strict=True)]
        curator.append(errors(plan.domain, consistent(plan.domain, seen)[0], truth))
        levels = [level_values(level) for level in release.levels]
        noise.append(standardised(levels, summed, plan) / standardised(by_curator, pooled, plan))
    box.close()
    mean = {name: float(np.mean([each[name] for each in joint])) for name in joint[0]}
    mean_curator = {name: float(np.mean([each[name] for each in curator])) for name in curator[0]}
    k15 = errors(plan.domain, np.where(truth > SMALLEST, truth, 0.0), truth)
    estimate_ratio = {name: mean[name] / mean_curator[name] for name in mean}
    return {
        "trips": int(truth.sum()),
        "error_vs_curator": round(float(np.mean(noise)), 4),
        **{f"{name}_vs_curator": round(value, 4) for name, value in estimate_ratio.items()},
        **{f"{name}_vs_k15": round(mean[name] / k15[name], 4) for name in mean},
        **{name: round(value, 4) for name, value in mean.items()},
        **{f"{name}_curator": round(value, 4) for name, value in mean_curator.items()},
        **{f"{name}_k15": round(value, 4) for name, value in k15.items()},
        "seconds": round(float(np.median(seconds)), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 200_000, 2_000_000])
    parser.add_argument("--country", type=int, default=COUNTRY, help="seed of the invented country")
    options = parser.parse_args()
    zones = generate_zones(options.country, ZONES)
    flows = make_flows(zones, settle(zones, None, None, options.country), None)
    epsilon = epsilon_of(RHO, DELTA)
    limit = 1.05 * np.sqrt(4 / (3 - 1))
    print(f"rho {RHO} = epsilon {epsilon:.4f} at delta {DELTA:g}; K = {MAX_KEYS}; n = 4, s = 3, t = 1")
    sizes = {}
    for people in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            sizes[people] = measured(zones, day_of(zones, flows, people, options.country + people), people, options.repeats, Path(folder))
        print(f"{people:>9,} subscribers: {sizes[people]}", flush=True)
    head = sizes.get(200_000, next(iter(sizes.values())))
    keys = ("error_vs_curator", "coarse_vs_k15", "margin_vs_k15", "fine_vs_k15")
    print(
        json.dumps({**{key: head[key] for key in keys}, "epsilon": round(epsilon, 4), "limit_vs_curator": round(limit, 4), "sizes": sizes})
    )


if __name__ == "__main__":
    main()
