"""The policy once more, from docs/agreements.md alone: plain dicts and whole numbers, own calendar, own grammar of levels.

It shares no code with `oneteam.privacy.policy`, so that a misreading in one of the two shows as a difference (`policy_fuzz.py`). Instants
are whole microseconds, a day is ``(year, month, day)``. The shapes:

- agreement: ``purpose``, ``contributors``, ``helpers``, ``recipients``, ``contributors_may_receive``, ``rho_total``, ``not_before``,
  ``until``, ``min_contributors``, ``colluding``, ``threshold``, ``single``, ``measures`` (a list; each with ``name``, ``dimensions``,
  ``domains``, ``levels``, ``filters``, ``rho_per_release``, ``max_days``, ``plain_threshold``) and ``dimensions`` (by name, see `domain`)
- kept: None or ``id``, ``agreement``, ``signed_by``, ``revoked``
- query: ``agreement``, ``purpose``, ``measure``, ``dimensions``, ``levels``, ``filters``, ``first_day``, ``last_day``, ``rho``, ``owners``
- asking: ``requester``, ``me``, ``now``, ``round``: None or ``participants``, ``threshold``, ``colluding``
- limits: None or ``paused``, ``until``, ``recipients``, ``measures``, ``levels``, ``max_rho_per_release``
"""

from __future__ import annotations

CODES = (
    "agreement.unknown",
    "agreement.unsigned",
    "agreement.revoked",
    "period.early",
    "period.over",
    "purpose",
    "requester.stranger",
    "requester.contributor",
    "requester.helper",
    "party",
    "owners.repeated",
    "owners.stranger",
    "single.many",
    "single.forbidden",
    "single.other",
    "contributors.few",
    "round.absent",
    "round.participants",
    "round.threshold",
    "round.colluding",
    "measure",
    "dimensions",
    "levels.repeated",
    "levels",
    "filters",
    "filters.codes",
    "days.order",
    "days.many",
    "cells",
    "rho",
    "plain",
    "local.paused",
    "local.until",
    "local.recipient",
    "local.measure",
    "local.level",
    "local.rho",
)
MOST_CELLS = 4_000_000
LETTERS = "abcdefghijklmnopqrstuvwxyz"
BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def domain(codes, groups):
    """What the rules need of a public domain: how many codes, and how many different ones in each group."""
    return {"size": len(codes), "groups": {name: len(dict.fromkeys(of)) for name, of in groups.items()}}


def day_number(day):
    """Days since 31 December of the year 0, by the Gregorian rule for leap years."""
    year, month, of_month = day
    leap = year % 400 == 0 or (year % 4 == 0 and year % 100 != 0)
    past = year - 1
    return 365 * past + past // 4 - past // 100 + past // 400 + BEFORE_MONTH[month - 1] + (leap and month > 2) + of_month


MONDAY = day_number((1970, 1, 5))


def refusals(query, kept, asking, limits):
    """The code of every broken rule in the page's order; an empty list permits."""
    broken = [1] if kept is None or kept["id"] != query["agreement"] else list(_of_agreement(query, kept, asking))
    if limits is not None:
        broken += _of_owner(query, asking, limits)
    return [CODES[number - 1] for number in broken]


def _of_agreement(query, kept, asking):
    agreed, plan = kept["agreement"], asking["round"]
    yield from _of_validity(query, kept, agreed, asking["now"])
    yield from _of_people(agreed, asking["requester"], asking["me"], query["owners"])
    if plan is None:
        yield from _of_single(agreed, query["owners"], asking["me"])
    else:
        yield from _of_plan(agreed, {*query["owners"]}, plan, asking["me"])
    measure = next((one for one in agreed["measures"] if one["name"] == query["measure"]), None)
    days = day_number(query["last_day"]) - day_number(query["first_day"]) + 1
    if measure is not None:
        yield from _of_content(query, agreed, measure, days)
        if measure["plain_threshold"] and not _plain(query, measure, days, plan):
            yield 31
        return
    yield 21
    if days < 1:
        yield 27


def _of_validity(query, kept, agreed, now):
    if not {*agreed["contributors"], *agreed["helpers"], *agreed["recipients"]} <= {*kept["signed_by"]}:
        yield 2
    if kept["revoked"]:
        yield 3
    if now < agreed["not_before"]:
        yield 4
    if now >= agreed["until"]:
        yield 5
    if query["purpose"] != agreed["purpose"]:
        yield 6


def _of_people(agreed, who, me, owners):
    bring, help_ = agreed["contributors"], agreed["helpers"]
    if who not in agreed["recipients"]:
        yield 7
    if who in bring and not agreed["contributors_may_receive"]:
        yield 8
    if who in help_:
        yield 9
    if me not in bring and me not in help_:
        yield 10
    if len(owners) != len({*owners}):
        yield 11
    if not {*owners} <= {*bring}:
        yield 12


def _of_single(agreed, owners, me):
    if len(owners) != 1:
        yield 13
    if not agreed["single"]:
        yield 14
    if me not in owners:
        yield 15


def _of_plan(agreed, owners, plan, me):
    listed = plan["participants"]
    n, s, t = len(listed), plan["threshold"], plan["colluding"]
    parts = len(agreed["contributors"]) + len(agreed["helpers"])
    agreed_s = agreed["threshold"]
    if agreed_s == 0:
        # The smallest s with 2 s > parts + colluding, counted up rather than divided.
        while 2 * agreed_s <= parts + agreed["colluding"]:
            agreed_s += 1
    if len(owners) < agreed["min_contributors"]:
        yield 16
    if me not in listed:
        yield 17
    if n != len({*listed}) or owners - {*listed} or {*listed} - owners - {*agreed["helpers"]}:
        yield 18
    if s != agreed_s or s > n or 2 * s <= n + t:
        yield 19
    if t != agreed["colluding"]:
        yield 20


def _of_content(query, agreed, measure, days):
    dims, have, levels = query["dimensions"], measure["dimensions"], query["levels"]
    kept_well = _in_order(dims, have)
    domains = {one: _domain(agreed, measure, one) for one in dims}
    grains = [_grains(text, dims, have, measure["levels"]) for text in levels] if kept_well else []
    if not kept_well:
        yield 22
    if len(levels) != len({*levels}):
        yield 23
    if None in grains:
        yield 24
    if any(key not in measure["filters"] for key in query["filters"]):
        yield 25
    if any(_badly_chosen(codes, measure["filters"][key]) for key, codes in query["filters"].items() if key in measure["filters"]):
        yield 26
    if days < 1:
        yield 27
    if days > measure["max_days"]:
        yield 28
    if kept_well and None not in grains and days >= 1 and _too_many(dims, domains, grains, days):
        yield 29
    if query["rho"] > measure["rho_per_release"] or query["rho"] > agreed["rho_total"]:
        yield 30


def _in_order(dims, have):
    """Whether these are some of those, each once in both, in the same order."""
    places = [have.index(one) if have.count(one) == 1 else -1 for one in dims]
    return bool(dims) and -1 not in places and places == sorted({*places})


def _plain(query, measure, days, plan):
    """Whether a table without noise may be given: one whole table of one whole period."""
    whole = days == measure["max_days"] and (day_number(query["first_day"]) - MONDAY) % measure["max_days"] == 0
    one = plan is None and len(query["levels"]) == 1 and not query["filters"]
    return whole and one and query["dimensions"] == measure["dimensions"]


def _badly_chosen(codes, choice):
    return not codes or len(codes) != len({*codes}) or not {*codes} <= {*choice}


def _domain(agreed, measure, dim):
    """The dimension's domain; the built-in ones have no groups; None where the Agreement has none."""
    if dim in ("day", "hour"):
        return {"size": dim, "groups": {}}
    return agreed["dimensions"].get(measure["domains"].get(dim, dim))


def _grains(text, dims, have, agreed_levels):
    """The grain of each of the query's dimensions, or None where the level is not agreed."""
    pieces, grains = text.split(","), []
    if len(pieces) != len(dims):
        return None
    for piece, dim in zip(pieces, dims, strict=True):
        if not piece.startswith(dim + "="):
            return None
        grain = piece[len(dim) + 1 :]
        if grain != "*" and not _is_name(grain):
            return None
        grains.append(grain)
    put_in = dict(zip(dims, pieces, strict=True))
    return grains if ",".join(put_in.get(one, one + "=*") for one in have) in agreed_levels else None


def _is_name(word):
    """A lower-case letter, then at most 47 lower-case letters, digits and underscores, all of ASCII."""
    return 1 <= len(word) <= 48 and word[0] in LETTERS and all(one in LETTERS or one in "0123456789_" for one in word)


def _too_many(dims, domains, grains, days):
    full = [_size(domains[dim], days) for dim in dims]
    if None in full:
        return True
    product = 1
    for size in full:
        product *= size
    together = 0
    for level in grains:
        cells = 1
        for dim, grain, size in zip(dims, level, full, strict=True):
            if grain == "code":
                cells *= size
            elif grain != "*":
                if grain not in domains[dim]["groups"]:
                    return True
                cells *= domains[dim]["groups"][grain]
        together += cells
    return together > MOST_CELLS or product > MOST_CELLS


def _size(found, days):
    if found is None:
        return None
    if found["size"] == "day":
        return days
    return 24 if found["size"] == "hour" else found["size"]


def _of_owner(query, asking, limits):
    if limits["paused"]:
        yield 32
    if limits["until"] is not None and asking["now"] >= limits["until"]:
        yield 33
    if limits["recipients"] is not None and asking["requester"] not in limits["recipients"]:
        yield 34
    if limits["measures"] is not None and query["measure"] not in limits["measures"]:
        yield 35
    if limits["levels"] is not None and any(one not in limits["levels"] for one in query["levels"]):
        yield 36
    if limits["max_rho_per_release"] is not None and query["rho"] > limits["max_rho_per_release"]:
        yield 37
