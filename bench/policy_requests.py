"""Requests for `policy_fuzz.py`: Agreements, and queries that keep them, just keep them, just break them or break them in many ways.

Everything is made as plain dicts (shapes in `policy_independent.py`); `built` turns them into the documents that `decide` takes. Each
request starts from one that its Agreement most often permits; then none, one or several changes are made to it. Some changes keep it
permitted (the last microsecond, the exact cost, a reordered list), most break one rule.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from math import inf, nextafter

import policy_independent
from oneteam.core.model import Agreement, Dimension, Query
from oneteam.privacy.agreements import Revocation
from oneteam.privacy.policy import Asking, Kept, LocalLimits
from oneteam.privacy.requests import RoundPlan

MEMBERS = ("skylark", "horizon", "meridian", "sky", "skylark-2", "notary", "escrow", "agency", "institute", "a")
PURPOSES = ("dpv:PublicBenefit", "dpv:ResearchAndDevelopment", "dpv:Publicbenefit", "dpv-sector:PublicBenefit")
MEASURES = ("od_flow", "od", "presence", "visits")
KEYS = ("origin", "destination", "zone", "age", "sex", "day", "hour")
FILTER_KEYS = ("purpose", "age", "sex", "transport")
CHOICES = ("F", "M", "0-19", "20-64", "65+", "walk", "rail")
FIRST_MONDAY = date(1970, 1, 5).toordinal()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_US = 365 * 86_400_000_000
TURNS = tuple(
    date(*day).toordinal()
    for day in (
        (2024, 2, 28), (2024, 2, 29), (2024, 3, 1), (2023, 2, 28), (2000, 2, 28), (1900, 2, 27), (2100, 2, 28), (1968, 2, 29),
        (2023, 12, 31), (1970, 1, 1), (1970, 1, 5), (1, 1, 1), (9999, 12, 31), (2026, 3, 2),
    )
)  # fmt: skip
DIMENSIONS = {
    "zone": Dimension(codes=("11", "21", "22", "23", "31"), groups={"region": ("1", "2", "2", "2", "3"), "all": ("x",) * 5}),
    "one": Dimension(codes=("11",), groups={"region": ("1",)}),
    "named_code": Dimension(codes=("11", "12", "13"), groups={"code": ("1", "1", "1"), "region": ("1", "1", "2")}),
    "thousand": Dimension(codes=tuple(str(i) for i in range(1000)), groups={"region": tuple(str(i % 10) for i in range(1000))}),
    "two_thousand": Dimension(
        codes=tuple(str(i) for i in range(2000)),
        groups={"region": tuple(str(i // 2) for i in range(2000)), "half": tuple(str(i % 2) for i in range(2000))},
    ),
    "odd_thousands": Dimension(codes=tuple(str(i) for i in range(2001)), groups={"region": tuple(str(i % 2000) for i in range(2001))}),
    "age": Dimension(codes=tuple("abcdefghi"), groups={"band": tuple("aaabbbccc")}),
    "sex": Dimension(codes=("F", "M")),
    "day": Dimension(codes=("weekday", "weekend"), groups={"week": ("w", "w")}),
    "hour": Dimension(codes=("am", "pm", "night"), groups={"half": ("d", "d", "n")}),
}
PLAIN_DIMENSIONS = {name: policy_independent.domain(one.codes, one.groups) for name, one in DIMENSIONS.items()}
ZONES = (*("zone",) * 8, "one", "named_code", "named_code", "thousand", "two_thousand", "odd_thousands")
MOST_CELLS = (
    {"origin": "two_thousand", "destination": "two_thousand"},
    ("origin", "destination"),
    {"origin=code,destination=code", "origin=*,destination=*", "origin=half,destination=*"},
)
"""A measure whose finest level has exactly the most cells, and others that are one or two more."""
OFFSETS = tuple(timezone(timedelta(minutes=m)) for m in (0, 540, -300, 345, -719, 839, 0, 540))
WRONG_GRAINS = (
    "",
    "Code",
    "CODE",
    "**",
    "ghost",
    "week",
    "half",
    "a_1" * 16,
    "a_1" * 16 + "x",
    "1a",
    "_a",
    "réseau",
    "a٣",
    "regio",
    "region ",
    "code ",
    "*\n",
    "region\n",
    "groups",
    "code=code",
    "한",
)


def instant(us, rng):
    """The same moment, written at one of several UTC offsets."""
    return (EPOCH + timedelta(microseconds=us)).astimezone(rng.choice(OFFSETS))


def day_of(ordinal):
    """``(year, month, day)``."""
    found = date.fromordinal(min(max(ordinal, 1), date.max.toordinal()))
    return found.year, found.month, found.day


def ordinal_of(day):
    """The other way round."""
    return date(*day).toordinal()


def some(rng, things, least=0):
    """A random part of them, in their order where it is not the least part."""
    things = tuple(things)
    mask = rng.getrandbits(len(things) + 1)
    found = tuple(one for at, one in enumerate(things) if mask >> at & 1)
    return found if len(found) >= min(least, len(things)) else tuple(rng.sample(things, min(least, len(things))))


def shuffled(rng, things):
    """The same in any order."""
    return tuple(rng.sample(list(things), len(things)))


def a_level(rng, dimensions, grains):
    """``dimension=grain`` for each."""
    return ",".join(f"{one}={rng.choice(grains[one])}" for one in dimensions)


def make_measure(rng, name, domains, *, odd):
    """An agreed measure; an odd one is not what `agreement check` lets pass."""
    dimensions = shuffled(rng, some(rng, KEYS, 1))[: rng.choice((1, 2, 2, 3, 4))]
    given = {one: domains[one] for one in dimensions if one in domains}
    coarse = [one for one in dimensions if one not in ("day", "hour") or odd]
    grains = {one: ("code", "*", *(PLAIN_DIMENSIONS[given.get(one, one)]["groups"] if one in coarse else ())) for one in dimensions}
    levels = {a_level(rng, dimensions, grains) for _ in range(rng.randint(1, 6))}
    if rng.random() < 0.7:
        levels.add(",".join(f"{one}=code" for one in dimensions))
    if odd:
        given, dimensions, levels = odd_measure(rng, given, dimensions, levels)
    elif rng.random() < 0.03:
        given, dimensions, levels = MOST_CELLS
    plain = rng.random() < 0.15
    if plain:
        levels = sorted(levels)[:1]
    keys = [one for one in FILTER_KEYS if one not in dimensions]
    return {
        "name": name,
        "dimensions": dimensions,
        "domains": given,
        "levels": tuple(sorted(levels)),
        "filters": {} if plain else {key: some(rng, CHOICES, 1) for key in some(rng, keys)},
        "rho_per_release": rng.choice((0.01, 0.1, 0.3, 0.1 + 0.2, 1.0, 1e-9, rng.uniform(0.001, 2))),
        "max_days": rng.choice((1, 1, 2, 7, 7, 28, 29, 31, 365, 366)),
        "plain_threshold": plain,
    }


def odd_measure(rng, given, dimensions, levels):
    """Levels of a wrong form or of a group nobody knows, keys without a domain, built-in keys with one."""
    given, levels = dict(given), set(levels)
    kind = rng.randrange(8)
    if kind == 0:
        given[rng.choice(KEYS)] = rng.choice(("nowhere", "day", "hour", "zone", "two_thousand", "sex"))
    elif kind == 1:
        levels |= {a_level(rng, dimensions, dict.fromkeys(dimensions, ("code", *WRONG_GRAINS))) for _ in range(3)}
    elif kind == 2:
        levels |= {one.replace(",", ", ") for one in levels} | {one + "\n" for one in levels} | {one + "," for one in levels}
    elif kind == 3:
        dimensions = (*dimensions[:2], "ghost")
        levels = {a_level(rng, dimensions, dict.fromkeys(dimensions, ("code", "*"))) for _ in range(3)}
    elif kind == 4:
        dimensions = ()
    elif kind == 5:
        dimensions = (*dimensions, rng.choice(dimensions))
        levels = {a_level(rng, dimensions, dict.fromkeys(dimensions, ("code", "*"))) for _ in range(6)}
    elif kind == 6:
        levels |= {",".join(f"{one}=*" for one in dimensions), ",".join(reversed(min(levels).split(",")))}
    else:
        levels = {one.split(",")[0] for one in levels}
    return given, dimensions, levels


def make_agreement(rng):
    """One Agreement; three in ten have something that no draft would have."""
    odd = rng.random() < 0.3
    people = shuffled(rng, MEMBERS)
    brings, helps = rng.choice((1, 2, 3, 3, 4)), rng.choice((0, 1, 1, 2))
    contributors, helpers = people[:brings], people[brings : brings + helps]
    recipients = people[brings + helps :][: rng.choice((1, 1, 2, 3))]
    may_receive = rng.random() < 0.25
    if odd or may_receive:
        recipients += some(rng, contributors)
    if odd:
        recipients += some(rng, helpers)
        helpers += (rng.choice(people),) if rng.random() < 0.2 else ()
        contributors += (rng.choice(people),) if rng.random() < 0.2 else ()
    n, t = len(contributors) + len(helpers), rng.choice((0, 0, 1, 1, 2))
    t = min(t, max(n - 1, 0)) if not odd else t
    least = (n + t) // 2 + 1
    threshold = (
        rng.choice((0, 0, least, rng.randint(least, max(n, least))))
        if not odd
        else rng.choice((0, 0, least, least, least, n, n + 1, n // 2))
    )
    begins = rng.randrange(-3 * YEAR_US, 60 * YEAR_US)
    lasts = (
        rng.choice((1, 86_400_000_000, YEAR_US, YEAR_US))
        if not odd
        else rng.choice((0, -1, 2, YEAR_US, YEAR_US, YEAR_US, YEAR_US, YEAR_US))
    )
    zone = rng.choice(ZONES)
    domains = {"origin": zone, "destination": zone if rng.random() < 0.7 else rng.choice(ZONES), "zone": zone}
    names = [rng.choice(MEASURES) for _ in range(rng.choice((1, 2, 3)))]
    measures = tuple(make_measure(rng, name, domains, odd=odd and rng.random() < 0.6) for name in names)
    used = {measure["domains"].get(one, one) for measure in measures for one in measure["dimensions"]} - {"day", "hour"}
    top = max(measure["rho_per_release"] for measure in measures)
    if odd and rng.random() < 0.3:
        used |= {"zone", "day", "hour"}
    return {
        "purpose": rng.choice(PURPOSES[:2]),
        "contributors": contributors,
        "helpers": helpers,
        "recipients": recipients,
        "contributors_may_receive": may_receive,
        "rho_total": rng.choice((top, top * 5, 100.0)) if not odd else rng.choice((top, top, 100.0, top / 2, 1e-3)),
        "not_before": begins,
        "until": begins + lasts,
        "min_contributors": rng.choice((1, brings, brings)) if not odd else rng.randint(1, 5),
        "colluding": t,
        "threshold": threshold,
        "single": rng.random() < 0.75,
        "measures": measures,
        "dimensions": {name: PLAIN_DIMENSIONS[name] for name in sorted(used & set(PLAIN_DIMENSIONS))},
    }


def built_agreement(plain, rng):
    """The document of a plain Agreement."""
    return Agreement(
        title={"en": "Fuzz"},
        roster="0" * 64,
        dataset="mobility",
        **{key: plain[key] for key in plain if key not in ("dimensions", "measures", "not_before", "until")},
        measures=tuple({**one, "max_keys": 1} for one in plain["measures"]),
        dimensions={name: DIMENSIONS[name] for name in plain["dimensions"]},
        not_before=instant(plain["not_before"], rng),
        until=instant(plain["until"], rng),
    )


@dataclass
class World:
    """One Agreement as kept, in both forms, and the ids of others."""

    plain: dict
    agreement: Agreement
    id: str
    other_ids: tuple[str, ...]
    others: tuple[dict, ...]


def make_worlds(rng, count=3):
    """Several Agreements kept side by side."""
    plains = [make_agreement(rng) for _ in range(count)]
    ids = [f"{rng.getrandbits(256):064x}" for _ in plains]
    return [
        World(plain, built_agreement(plain, rng), ids[at], tuple(ids[:at] + ids[at + 1 :]), tuple(plains[:at] + plains[at + 1 :]))
        for at, plain in enumerate(plains)
    ]


def base_request(rng, world):
    """As good a request as the Agreement lets one ask; all four parts, none shared with another request."""
    agreed = world.plain
    usable = {one["name"]: one for one in reversed(agreed["measures"])}
    measure = usable[rng.choice(list(usable))]
    contributors, helpers = agreed["contributors"], agreed["helpers"]
    single = agreed["single"] and (measure["plain_threshold"] or rng.random() < 0.5 or agreed["min_contributors"] > len(contributors))
    if single or rng.random() < 0.05:
        owners, plan = (rng.choice(contributors),), None
        me = owners[0]
    else:
        least = agreed["min_contributors"] if rng.random() < 0.3 else len(contributors)
        owners = shuffled(rng, some(rng, dict.fromkeys(contributors), least))
        helping = helpers if rng.random() < 0.8 else some(rng, helpers)
        listed = shuffled(rng, dict.fromkeys(owners + helping))
        s = agreed["threshold"] or (len(contributors) + len(helpers) + agreed["colluding"]) // 2 + 1
        plan = {"participants": listed, "threshold": max(s, 1), "colluding": agreed["colluding"]}
        me = rng.choice(listed)
    allowed = [
        one for one in agreed["recipients"] if one not in helpers and (one not in contributors or agreed["contributors_may_receive"])
    ]
    now = rng.randrange(agreed["not_before"], max(agreed["until"], agreed["not_before"] + 1))
    query = {
        "agreement": world.id,
        "purpose": agreed["purpose"],
        "measure": measure["name"],
        **base_table(rng, measure),
        "rho": measure["rho_per_release"] * rng.choice((1.0, 0.5, 1e-3)),
        "owners": owners,
    }
    kept = {"id": world.id, "agreement": agreed, "signed_by": agreed["contributors"] + helpers + agreed["recipients"], "revoked": False}
    asking = {"requester": rng.choice(allowed or agreed["recipients"]), "me": me, "now": now, "round": plan}
    return {"query": query, "kept": kept, "asking": asking, "limits": None, "measure": measure, "world": world}


def base_table(rng, measure):
    """Dimensions, levels, filters and days within the measure's."""
    have = measure["dimensions"]
    parted = [dict(piece.split("=") if piece.count("=") == 1 else (piece, "") for piece in text.split(",")) for text in measure["levels"]]
    if measure["plain_threshold"]:
        dims, levels = have, measure["levels"][:1]
    else:
        first = rng.choice(parted)
        dims = tuple(one for one in have if first.get(one) != "*" or rng.random() < 0.3) or have[:1]
        fitting = [one for one in parted if all(one.get(key) == "*" for key in have if key not in dims)]
        levels = some(rng, dict.fromkeys(",".join(f"{key}={one.get(key)}" for key in dims) for one in fitting), 1) or measure["levels"][:1]
    longest = measure["max_days"]
    days = longest if measure["plain_threshold"] or rng.random() < 0.3 else rng.randint(1, longest)
    begins = rng.choice(TURNS) if rng.random() < 0.3 else rng.randint(719_000, 740_000)
    begins = min(begins, date.max.toordinal() - days + 1)
    if measure["plain_threshold"]:
        begins = FIRST_MONDAY + rng.randint(-300, 300) * longest
    filters = {key: shuffled(rng, some(rng, measure["filters"][key], 1)) for key in some(rng, measure["filters"])}
    return {"dimensions": dims, "levels": levels, "filters": filters, "first_day": day_of(begins), "last_day": day_of(begins + days - 1)}


# Changes. Each takes the request and changes its parts in place (the parts are the request's own; what they hold is replaced).


def change_kept(rng, request):
    """No Agreement, another one, a signature too few or too many, a revocation."""
    kept, world = request["kept"], request["world"]
    kind = rng.randrange(8)
    if kept is None:
        return
    if kind == 0:
        request["kept"] = None
    elif kind == 1:
        kept["id"] = rng.choice(world.other_ids)
    elif kind == 2:
        last = kept["id"][-1]
        request["query"]["agreement"] = kept["id"][:-1] + ("0" if last != "0" else "1")
    elif kind == 3:
        gone = rng.choice(kept["signed_by"] or MEMBERS)
        kept["signed_by"] = tuple(one for one in kept["signed_by"] if one != gone)
    elif kind == 4:
        kept["signed_by"] = some(rng, kept["signed_by"])
    elif kind == 5:
        kept["signed_by"] = shuffled(rng, dict.fromkeys(kept["signed_by"] + some(rng, MEMBERS)))
    elif kind == 6:
        kept["revoked"] = True
    else:
        request["query"]["agreement"] = rng.choice(world.other_ids)


def change_now(rng, request):
    """The edges of the period, to the microsecond."""
    agreed = request["world"].plain
    begins, ends = agreed["not_before"], agreed["until"]
    request["asking"]["now"] = rng.choice(
        (begins, begins - 1, begins + 1, ends - 1, ends - 1, ends, ends + 1, begins - YEAR_US, ends + YEAR_US)
    )


def change_purpose(rng, request):
    """Letter by letter."""
    purpose = request["query"]["purpose"]
    request["query"]["purpose"] = rng.choice((purpose.upper(), purpose + " ", purpose[:-1], purpose.lower(), "", *PURPOSES))


def change_requester(rng, request):
    """Somebody else of the alliance or nobody in it."""
    agreed = request["world"].plain
    request["asking"]["requester"] = rng.choice(
        (
            *MEMBERS,
            *agreed["recipients"],
            *agreed["contributors"],
            *agreed["helpers"],
            "stranger",
            "",
            request["asking"]["requester"].upper(),
        )
    )


def change_me(rng, request):
    """Somebody else decides."""
    plan = request["asking"]["round"]
    agreed = request["world"].plain
    others = agreed["helpers"] + agreed["contributors"]
    request["asking"]["me"] = rng.choice((*MEMBERS, *others, *others, *(plan["participants"] if plan else ()), "stranger"))


def change_owners(rng, request):
    """Repeated, missing, strangers, helpers, another order."""
    query, asking, agreed = request["query"], request["asking"], request["world"].plain
    owners = query["owners"]
    kind = rng.randrange(8)
    if kind == 0:
        owners = (*owners, rng.choice(owners))
    elif kind == 1:
        owners = shuffled(rng, owners)
    elif kind == 2:
        owners = (*owners[:-1], rng.choice(MEMBERS))
    elif kind == 3:
        owners = tuple(dict.fromkeys((*owners, rng.choice(MEMBERS))))
    elif kind == 4:
        owners = owners[1:] or owners
    elif kind == 5:
        owners = tuple(dict.fromkeys(agreed["contributors"]))
    elif kind == 6 and agreed["helpers"]:
        owners = (rng.choice(agreed["helpers"]), *owners[1:])
        asking["me"] = owners[0]
    else:
        owners = tuple(rng.choice(MEMBERS) for _ in range(rng.randint(1, 4)))
    query["owners"] = owners
    if asking["round"] and rng.random() < 0.6:
        asking["round"]["participants"] = tuple(dict.fromkeys(owners + agreed["helpers"]))


def change_round(rng, request):  # noqa: C901 - one line for each kind
    """Another plan, or one where there was none."""
    asking, agreed, owners = request["asking"], request["world"].plain, request["query"]["owners"]
    plan = asking["round"]
    if plan is None or rng.random() < 0.1:
        listed = tuple(dict.fromkeys(owners + agreed["helpers"]))
        fresh = {"participants": listed, "threshold": rng.randint(1, len(listed) + 1), "colluding": agreed["colluding"]}
        asking["round"] = None if plan else fresh
        return
    listed, n = plan["participants"], len(plan["participants"])
    kind = rng.randrange(11)
    if kind == 0:
        plan["participants"] = (*listed, rng.choice(listed))
    elif kind == 1:
        gone = rng.choice(listed)
        plan["participants"] = tuple(one for one in listed if one != gone) or listed
    elif kind == 2:
        plan["participants"] = (*listed, rng.choice(MEMBERS))
    elif kind == 3:
        plan["participants"] = tuple(dict.fromkeys(listed + agreed["contributors"]))
    elif kind == 4:
        plan["participants"] = tuple(dict.fromkeys(owners + some(rng, agreed["helpers"])))
    elif kind == 5:
        plan["threshold"] = max(1, plan["threshold"] + rng.choice((-1, 1)))
    elif kind == 6:
        plan["threshold"] = max(1, rng.choice(((n + plan["colluding"]) // 2, (n + plan["colluding"]) // 2 + 1, n, n + 1)))
    elif kind == 7:
        plan["colluding"] = max(0, plan["colluding"] + rng.choice((-1, 1)))
    elif kind == 8:
        # Exactly at s = (n + t) / 2 with the agreed s: more colluders, or more participants.
        plan["colluding"] = max(0, 2 * plan["threshold"] - n - rng.choice((0, 0, 1)))
    elif kind == 9:
        more = max(0, min(60, 2 * plan["threshold"] - plan["colluding"] - rng.choice((0, 0, 1))) - n)
        plan["participants"] = listed + shuffled(rng, MEMBERS)[:more]
    else:
        plan["participants"] = shuffled(rng, listed)


def change_measure(rng, request):
    """Another of the Agreement's, of the part's, or none."""
    request["query"]["measure"] = rng.choice((*MEASURES, "nothing", request["query"]["measure"] + "_"))


def change_dimensions(rng, request):
    """None, another order, twice, fewer, more; the levels follow half the time."""
    query, have = request["query"], request["measure"]["dimensions"]
    dims = query["dimensions"]
    kind = rng.randrange(7)
    if kind == 0:
        dims = ()
    elif kind == 1:
        dims = shuffled(rng, have)
    elif kind == 2 and dims:
        dims = (*dims, rng.choice(dims))
    elif kind == 3:
        dims = some(rng, have, 1)
    elif kind == 4:
        dims = (*dims, rng.choice((*KEYS, "ghost")))
    elif kind == 5:
        dims = shuffled(rng, some(rng, KEYS, 1))
    else:
        dims = tuple(reversed(have))
    query["dimensions"] = dims
    if dims and rng.random() < 0.5:
        query["levels"] = tuple(dict.fromkeys(a_level(rng, dims, dict.fromkeys(dims, ("code", "*", "region"))) for _ in range(2)))


def change_levels(rng, request):  # noqa: C901 - one line for each kind
    """Another agreed one, or one letter away from one."""
    query, measure = request["query"], request["measure"]
    levels = list(query["levels"])
    at = rng.randrange(len(levels))
    text = levels[at]
    kind = rng.randrange(12)
    if kind <= 1:
        levels.append(text)
    elif kind == 2:
        levels[at] = rng.choice((" " + text, text + " ", text.replace(",", ", "), text.replace("=", " = "), text + "\n", "\t" + text))
    elif kind == 3:
        levels[at] = rng.choice(
            (text + ",", "," + text, text.replace(",", ",,"), text.replace(",", ";"), text.replace("=", "=="), "", ",", "=")
        )
    elif kind == 4:
        levels[at] = rng.choice((text.upper(), text.replace("=", "＝"), text[:-1], text + "e", text.replace("=", ":")))
    elif kind == 5:
        head, _, _ = text.rpartition("=")
        levels[at] = f"{head}={rng.choice(WRONG_GRAINS)}"
    elif kind == 6 and query["dimensions"]:
        levels[at] = a_level(rng, query["dimensions"], dict.fromkeys(query["dimensions"], ("code", "*", "region", "half", "band", "all")))
    elif kind == 7:
        levels[at] = ",".join(reversed(text.split(",")))
    elif kind == 8:
        levels[at] = rng.choice(measure["levels"])
    elif kind == 9:
        levels[at] = text + "," + rng.choice(KEYS) + "=*"
    elif kind == 10:
        levels[at] = ",".join(text.split(",")[1:])
    else:
        levels = list(measure["levels"])
        query["dimensions"] = measure["dimensions"]
    query["levels"] = tuple(levels)


def change_filters(rng, request):
    """Keys and codes, agreed or not."""
    query, measure = request["query"], request["measure"]
    filters, agreed = dict(query["filters"]), measure["filters"]
    kind = rng.randrange(6)
    key = rng.choice(list(agreed)) if agreed and kind < 4 else rng.choice((*FILTER_KEYS, *KEYS, "ghost"))
    codes = agreed.get(key, CHOICES)
    if kind == 0:
        filters[key] = ()
    elif kind == 1:
        filters[key] = (codes[0], *codes)
    elif kind == 2:
        filters[key] = (*codes[:1], rng.choice((*CHOICES, codes[0] + " ", "f")))
    elif kind == 3:
        filters[key] = shuffled(rng, codes)
    else:
        filters[key] = rng.choice(((), ("F",), CHOICES[:2], ("F", "F")))
    query["filters"] = filters


def change_days(rng, request):
    """The order, the longest period, leap days, the Mondays."""
    query, longest = request["query"], request["measure"]["max_days"]
    first = ordinal_of(query["first_day"])
    if rng.random() < 0.4:
        first = rng.choice(TURNS)
    days = rng.choice((longest, longest, longest + 1, longest - 1, longest + 1, 0, -1, -longest, 1, 366, 367, 200_000, 4_000_000))
    if rng.random() < 0.3:
        first += rng.choice((-1, 1, longest, -longest, 7))
    query["first_day"], query["last_day"] = day_of(first), day_of(min(max(first, 1), 3_652_059) + days - 1)


def change_rho(rng, request):
    """Exactly the cap, and the next numbers to it."""
    cap = rng.choice((request["measure"]["rho_per_release"], request["world"].plain["rho_total"]))
    request["query"]["rho"] = min(100.0, rng.choice((cap, cap, nextafter(cap, inf), nextafter(cap, 0), cap * (1 + 1e-12), cap * 2, 100.0)))


def change_limits(rng, request):
    """The owner's limits: each left out, kept or broken."""
    query, asking = request["query"], request["asking"]
    now, rho, levels = asking["now"], query["rho"], query["levels"]
    tight = rng.random() < 0.5
    chosen = set(some(rng, ("paused", "until", "recipients", "measures", "levels", "rho"))) if rng.random() < 0.4 else {rng.choice(LIMITED)}
    slug = [
        one for one in (asking["requester"], *some(rng, MEMBERS)) if one and one.islower() and (not tight or one != asking["requester"])
    ]
    some_levels = [one for one in levels if not tight or rng.random() < 0.5] + ["zone=code", "zone=*"]
    request["limits"] = {
        "paused": "paused" in chosen and tight,
        "until": rng.choice((now, now - 1) if tight else (now + 1, now + YEAR_US)) if "until" in chosen else None,
        "recipients": tuple(slug) if "recipients" in chosen else None,
        "measures": tuple(one for one in MEASURES if tight != (one == query["measure"])) if "measures" in chosen else None,
        "levels": tuple(some_levels) if "levels" in chosen else None,
        "max_rho_per_release": (nextafter(rho, 0) if tight else rng.choice((rho, nextafter(rho, inf)))) if "rho" in chosen else None,
    }
    cap = request["limits"]["max_rho_per_release"]
    if cap is not None and not 0 < cap <= 100:
        request["limits"]["max_rho_per_release"] = None


LIMITED = ("paused", "until", "recipients", "measures", "levels", "rho")


def change_world(rng, request):
    """The same query under another Agreement, which it names."""
    other = rng.choice(request["world"].others)
    request["query"].update(purpose=other["purpose"], measure=rng.choice(other["measures"])["name"])
    request["asking"]["now"] = other["not_before"]


def change_cells(rng, request):
    """All agreed levels over all dimensions, for as long as may be: the number of cells comes near its limit."""
    query, measure = request["query"], request["measure"]
    if not measure["plain_threshold"] and measure["dimensions"]:
        query["dimensions"], query["levels"] = measure["dimensions"], measure["levels"]
        if "day" in measure["dimensions"] and rng.random() < 0.5:
            query["last_day"] = day_of(ordinal_of(query["first_day"]) + rng.randint(0, measure["max_days"] - 1))


CHANGES = (
    change_kept,
    change_now,
    change_purpose,
    change_requester,
    change_me,
    change_owners,
    change_owners,
    change_round,
    change_round,
    change_measure,
    change_dimensions,
    change_levels,
    change_levels,
    change_filters,
    change_days,
    change_rho,
    change_limits,
    change_limits,
    change_world,
    change_cells,
)
HOW_MANY = (0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 4, 6)


def requests(seed, count):
    """Plain requests: dicts of ``query``, ``kept``, ``asking``, ``limits``, and the ``measure`` and ``world`` they were made from."""
    rng = random.Random(seed)
    for at in range(count):
        if at % 90 == 0:
            worlds = make_worlds(rng)
        request = base_request(rng, rng.choice(worlds))
        for _ in range(rng.choice(HOW_MANY)):
            rng.choice(CHANGES)(rng, request)
        yield request


def built(request, rng):
    """The four arguments of `decide`."""
    query, kept, asking, limits = request["query"], request["kept"], request["asking"], request["limits"]
    document = Query(**{**query, "first_day": date(*query["first_day"]), "last_day": date(*query["last_day"])})
    stored = None
    if kept is not None:
        revoked = Revocation(agreement=kept["id"], member=MEMBERS[0], at=EPOCH) if kept["revoked"] else None
        stored = Kept(agreement=request["world"].agreement, id=kept["id"], signed_by=kept["signed_by"], revoked=revoked)
    plan = asking["round"] and RoundPlan(round_id="0" * 32, **asking["round"])
    circumstances = Asking(requester=asking["requester"], me=asking["me"], now=instant(asking["now"], rng), round=plan)
    own = limits and LocalLimits(**{**limits, "until": None if limits["until"] is None else instant(limits["until"], rng)})
    return document, stored, circumstances, own
