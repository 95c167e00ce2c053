"""The rules of docs/agreements.md once more, written from the page alone: plain sets and loops, nothing of the policy's own code."""

from __future__ import annotations

import itertools
import re
from datetime import date
from typing import Any

from oneteam.core.model import Agreement, Query

LEVEL = re.compile(r"[a-z][a-z0-9_]{0,47}=(\*|[a-z][a-z0-9_]{0,47})")


def reasons(query: Query, agreement: Agreement | None, known: dict[str, Any], limits: dict[str, Any]) -> list[str]:
    """Codes of all broken rules in the page's order.

    ``known`` has: id, signed_by, revoked, requester, me, now, round (None or a dict of participants, threshold, colluding).
    """
    found: list[str] = []

    def rule(code: str, broken: bool) -> None:
        if broken:
            found.append(code)

    if agreement is None or known["id"] != query.agreement:
        found.append("agreement.unknown")
    else:
        of_agreement(query, agreement, known, rule)
    requester, now = known["requester"], known["now"]
    rule("local.paused", bool(limits.get("paused")))
    rule("local.until", limits.get("until") is not None and not now < limits["until"])
    rule("local.recipient", limits.get("recipients") is not None and requester not in limits["recipients"])
    rule("local.measure", limits.get("measures") is not None and query.measure not in limits["measures"])
    rule("local.level", limits.get("levels") is not None and any(level not in limits["levels"] for level in query.levels))
    rule("local.rho", limits.get("max_rho_per_release") is not None and query.rho > limits["max_rho_per_release"])
    return found


def of_agreement(query: Query, a: Agreement, known: dict[str, Any], rule: Any) -> None:
    requester, me, now, plan = known["requester"], known["me"], known["now"], known["round"]
    everyone = [*a.contributors, *a.helpers, *a.recipients]
    rule("agreement.unsigned", any(party not in known["signed_by"] for party in everyone))
    rule("agreement.revoked", known["revoked"])
    rule("period.early", now < a.not_before)
    rule("period.over", now >= a.until)
    rule("purpose", query.purpose != a.purpose)
    rule("requester.stranger", requester not in a.recipients)
    rule("requester.contributor", requester in a.contributors and not a.contributors_may_receive)
    rule("requester.helper", requester in a.helpers)
    rule("party", me not in a.contributors and me not in a.helpers)
    rule("owners.repeated", any(query.owners.count(owner) > 1 for owner in query.owners))
    rule("owners.stranger", any(owner not in a.contributors for owner in query.owners))
    if plan is None:
        rule("single.many", len(query.owners) > 1)
        rule("single.forbidden", not a.single)
        rule("single.other", me not in query.owners)
    else:
        n, s, t = len(plan["participants"]), plan["threshold"], plan["colluding"]
        agreed = a.threshold
        if agreed == 0:
            agreed = next(k for k in itertools.count(1) if k > (len(a.contributors) + len(a.helpers) + a.colluding) / 2)
        rule("contributors.few", len({*query.owners}) < a.min_contributors)
        rule("round.absent", me not in plan["participants"])
        bad = any(plan["participants"].count(p) > 1 for p in plan["participants"])
        bad = bad or any(owner not in plan["participants"] for owner in query.owners)
        bad = bad or any(p not in query.owners and p not in a.helpers for p in plan["participants"])
        rule("round.participants", bad)
        rule("round.threshold", s != agreed or s > n or not s > (n + t) / 2)
        rule("round.colluding", t != a.colluding)
    content(query, a, plan, rule)


def content(query: Query, a: Agreement, plan: Any, rule: Any) -> None:
    days = query.last_day.toordinal() - query.first_day.toordinal() + 1
    agreed = [m for m in a.measures if m.name == query.measure]
    if not agreed:
        rule("measure", True)
        rule("days.order", days < 1)
        return
    m = agreed[0]
    places = [m.dimensions.index(d) if d in m.dimensions else -1 for d in query.dimensions]
    wrong = not places or -1 in places or any(b <= a_ for a_, b in itertools.pairwise(places))
    rule("dimensions", wrong)
    rule("levels.repeated", len({*query.levels}) < len(query.levels))
    grains: list[dict[str, str]] = []
    bad_level = False
    if not wrong:
        for text in query.levels:
            parts = text.split(",")
            if not all(LEVEL.fullmatch(part) for part in parts):
                bad_level = True
                continue
            pairs = [tuple(part.split("=")) for part in parts]
            if [name for name, _ in pairs] != list(query.dimensions):
                bad_level = True
                continue
            level = dict(pairs)
            full = [f"{d}={level[d]}" if d in level else f"{d}=*" for d in m.dimensions]
            bad_level = bad_level or ",".join(full) not in m.levels
            grains.append(level)
        rule("levels", bad_level)
    rule("filters", any(key not in m.filters for key in query.filters))
    rule("filters.codes", any(bad_filter(codes, m.filters[key]) for key, codes in query.filters.items() if key in m.filters))
    rule("days.order", days < 1)
    rule("days.many", days > m.max_days)
    if not wrong and not bad_level and days >= 1:
        size = sum(count(a, m, level, days) for level in grains)
        finest = count(a, m, dict.fromkeys(query.dimensions, "code"), days)
        rule("cells", size > 4_000_000 or finest > 4_000_000)
    rule("rho", query.rho > m.rho_per_release or query.rho > a.rho_total)
    if m.plain_threshold:
        window = (query.first_day.toordinal() - date(1970, 1, 5).toordinal()) % m.max_days == 0 and days == m.max_days
        fine = plan is None and len(query.levels) == 1 and query.dimensions == m.dimensions and not query.filters and window
        rule("plain", not fine)


def bad_filter(asked: tuple[str, ...], agreed: tuple[str, ...]) -> bool:
    return len(asked) == 0 or any(asked.count(code) > 1 or code not in agreed for code in asked)


def count(a: Agreement, m: Any, level: dict[str, str], days: int) -> int:
    cells = 1
    for dimension, grain in level.items():
        if grain == "*":
            continue
        if dimension == "day":
            cells *= days
        elif dimension == "hour":
            cells *= 24
        else:
            domain = a.dimensions[m.domains.get(dimension, dimension)]
            cells *= len(domain.codes) if grain == "code" else len({*domain.groups[grain]})
    return cells
