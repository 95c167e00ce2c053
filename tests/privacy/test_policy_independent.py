"""The policy against the one that was written from docs/agreements.md alone (`bench/policy_independent.py`), on generated requests.

`bench/policy_fuzz.py` does the same on a million. That the comparison would notice is shown on mutants of the policy: every comparison in
its rules turned or moved by one, every condition and every code left out, and mistakes of other kinds.
"""

import ast
import inspect
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from oneteam.privacy import policy

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
import policy_fuzz
import policy_independent
import policy_requests

SEED, COUNT = "test", 20_000
NEVER_ALONE = {"party"}
"""Who is no participant is neither an owner that contributes nor in a plan that fits, so another rule is always broken too."""


@dataclass(frozen=True)
class Case:
    """The arguments of `decide` and what the page says."""

    arguments: tuple
    expected: tuple[str, ...]
    plain: dict


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    rng = random.Random(SEED)
    return [
        Case(
            policy_requests.built(request, rng),
            tuple(policy_independent.refusals(request["query"], request["kept"], request["asking"], request["limits"])),
            {part: request[part] for part in ("query", "asking", "limits")},
        )
        for request in policy_requests.requests(f"{SEED} requests", COUNT)
    ]


def difference(cases: list[Case], decide: Callable) -> Case | None:
    """The first request on which a policy and the page differ."""
    return next((case for case in cases if decide(*case.arguments).codes != case.expected), None)


def test_both_agree_on_every_request(cases):
    wrong = [
        f"decided {found.codes}, the page says {case.expected}: {case.plain}"
        for case, found in ((case, policy.decide(*case.arguments)) for case in cases)
        if found.codes != case.expected or found.permit != (not case.expected)
    ]
    assert not wrong, wrong[0]


def test_the_requests_reach_every_rule_alone_and_with_others(cases):
    assert tuple(policy.RULES) == policy_independent.CODES
    alone = {case.expected[0] for case in cases if len(case.expected) == 1}
    together = {code for case in cases if len(case.expected) > 1 for code in case.expected}
    assert alone == set(policy.RULES) - NEVER_ALONE
    assert together == set(policy.RULES)
    assert sum(not case.expected for case in cases) >= 0.2 * COUNT


def test_the_requests_stand_on_the_boundaries(cases):
    permitted = [case.arguments for case in cases if not case.expected]
    asked = [(query, kept.agreement, asking, own) for query, kept, asking, own in permitted]
    assert any(asking.now == agreed.not_before for _, agreed, asking, _ in asked)
    assert any(query.rho == agreed.rho_total for query, agreed, _, _ in asked)
    assert any(own and own.max_rho_per_release == query.rho for query, _, _, own in asked)
    assert any(query.first_day.month == 2 and query.first_day.day == 29 for query, *_ in asked)
    plans = [case.arguments[2].round for case in cases if case.expected == ("round.threshold",)]
    assert any(2 * plan.threshold == len(plan.participants) + plan.colluding for plan in plans)


def test_the_restatement_shares_no_code():
    tree = ast.parse(Path(policy_independent.__file__).read_text(encoding="utf-8"))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [node.module for node in imported if isinstance(node, ast.ImportFrom)] == ["__future__"]
    assert len(imported) == 1


def test_its_calendar_is_the_gregorian():
    days = [policy_independent.day_number(policy_requests.day_of(at)) for at in range(1, 3_652_060, 97)]
    assert {b - a for a, b in pairwise(days)} == {97}
    turns = [policy_independent.day_number((year, *day)) for year in (1900, 2000, 2023, 2024) for day in ((2, 28), (3, 1))]
    assert [b - a for a, b in zip(turns[::2], turns[1::2], strict=True)] == [1, 2, 1, 2]


# Mutants: the policy's own functions, each with one comparison changed.

TURNED = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


def rule_functions() -> ast.Module:
    """`decide` and everything after it: the rules and the tuple that gathers them."""
    body = ast.parse(inspect.getsource(policy)).body
    first = next(at for at, node in enumerate(body) if isinstance(node, ast.FunctionDef))
    return ast.Module(body=body[first:], type_ignores=[])


def comparisons(tree: ast.Module) -> list[tuple[ast.Compare, int]]:
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    return [(node, at) for node in found for at in range(len(node.ops))]


def mutants_of_comparisons() -> list[tuple[str, int]]:
    return [(f"{ast.unparse(node)} [{at}]", number) for number, (node, at) in enumerate(comparisons(rule_functions()))]


def policy_of(tree: ast.Module) -> Callable:
    """`decide` of changed rules, beside the module's own."""
    names = dict(vars(policy))
    exec(compile(ast.fix_missing_locations(tree), "mutant", "exec"), names)
    return names["decide"]


def test_unchanged_rules_agree(cases):
    assert difference(cases, policy_of(rule_functions())) is None


@pytest.mark.parametrize("number", [pytest.param(number, id=text) for text, number in mutants_of_comparisons()])
def test_every_changed_comparison_is_found(cases, number):
    tree = rule_functions()
    node, at = comparisons(tree)[number]
    node.ops[at] = TURNED[type(node.ops[at])]()
    assert found(cases, policy_of(tree))


def conditions(tree: ast.Module) -> list[tuple[ast.BoolOp, int]]:
    found = [node for node in ast.walk(tree) if isinstance(node, ast.BoolOp)]
    return [(node, at) for node in found for at in range(len(node.values))]


def mutants_of_conditions() -> list[tuple[str, int]]:
    return [(f"{ast.unparse(node)} without {at}", number) for number, (node, at) in enumerate(conditions(rule_functions()))]


@pytest.mark.parametrize("number", [pytest.param(number, id=text) for text, number in mutants_of_conditions()])
def test_every_condition_left_out_is_found(cases, number):
    tree = rule_functions()
    node, at = conditions(tree)[number]
    node.values[at] = ast.Constant(isinstance(node.op, ast.And))
    assert found(cases, policy_of(tree))


def found(cases: list[Case], decide: Callable) -> bool:
    """Whether a changed policy differs from the page somewhere; one that fails differs, too."""
    try:
        return difference(cases, decide) is not None
    except (TypeError, AttributeError, KeyError):
        return True


# Mutants from outside: a policy that sees a changed request, or says something else than it found.


def dropped(code: str) -> Callable:
    def decide(*arguments):
        codes = tuple(one for one in policy.decide(*arguments).codes if one != code)
        return SimpleNamespace(codes=codes, permit=not codes)

    return decide


@pytest.mark.parametrize("code", policy.RULES)
def test_a_rule_left_out_is_found(cases, code):
    assert difference(cases, dropped(code)) is not None


def with_query(query, kept, asking, own, **changed):
    return query.model_copy(update=changed), kept, asking, own


def with_agreement(query, kept, asking, own, **changed):
    return query, kept and replace(kept, agreement=kept.agreement.model_copy(update=changed)), asking, own


def without_repeated_owners(query, kept, asking, own):
    return with_query(query, kept, asking, own, owners=tuple(dict.fromkeys(query.owners)))


def without_repeated_levels(query, kept, asking, own):
    return with_query(query, kept, asking, own, levels=tuple(dict.fromkeys(query.levels)))


def with_blanks_removed(query, kept, asking, own):
    return with_query(query, kept, asking, own, levels=tuple(one.strip() for one in query.levels))


def with_rho_in_nanos(query, kept, asking, own):
    return with_query(query, kept, asking, own, rho=round(query.rho, 9) or query.rho)


def with_the_last_measure_of_a_name(query, kept, asking, own):
    return with_agreement(query, kept, asking, own, measures=kept.agreement.measures[::-1]) if kept else (query, kept, asking, own)


def with_the_clock_in_seconds(query, kept, asking, own):
    return query, kept, replace(asking, now=asking.now.replace(microsecond=0)), own


def with_wall_clocks(query, kept, asking, own):
    return query, kept, replace(asking, now=asking.now.replace(tzinfo=kept.agreement.until.tzinfo) if kept else asking.now), own


def without_repeated_participants(query, kept, asking, own):
    plan = asking.round and asking.round.model_copy(update={"participants": tuple(dict.fromkeys(asking.round.participants))})
    return query, kept, replace(asking, round=plan), own


def with_the_least_threshold(query, kept, asking, own):
    return with_agreement(query, kept, asking, own, threshold=0)


def without_case(query, kept, asking, own):
    return with_query(query, kept, replace(asking, requester=asking.requester.lower()), own)


def without_local_limits(query, kept, asking, own):
    return query, kept, asking, None


SEEN = [
    without_repeated_owners,
    without_repeated_levels,
    with_blanks_removed,
    with_rho_in_nanos,
    with_the_last_measure_of_a_name,
    with_the_clock_in_seconds,
    with_wall_clocks,
    without_repeated_participants,
    with_the_least_threshold,
    without_case,
    without_local_limits,
]


@pytest.mark.parametrize("seen", SEEN)
def test_a_policy_that_sees_another_request_is_found(cases, monkeypatch, seen):
    decide = policy.decide
    monkeypatch.setattr(policy, "decide", lambda *arguments: decide(*seen(*arguments)))
    assert difference(cases, policy.decide) is not None


@pytest.mark.parametrize("limit", [3_999_999, 4_000_001])
def test_one_cell_more_or_less_is_found(cases, monkeypatch, limit):
    monkeypatch.setattr(policy, "MAX_CELLS", limit)
    assert difference(cases, policy.decide) is not None


def test_another_order_of_reasons_is_found(cases):
    def decide(*arguments):
        codes = tuple(sorted(policy.decide(*arguments).codes))
        return SimpleNamespace(codes=codes, permit=not codes)

    assert difference(cases, decide) is not None


def test_the_tally_tells_the_kinds_of_mistake_apart():
    def nothing(*_):
        return SimpleNamespace(permit=True, codes=())

    def everything(*_):
        return SimpleNamespace(permit=False, codes=("cells",))

    kind, strict = policy_fuzz.compare("tally", 500, nothing), policy_fuzz.compare("tally", 500, everything)
    assert kind.requests == kind.permitted == 500
    assert kind.wrong_permits == kind.wrong > 0
    assert strict.wrong_refusals == 500 - kind.wrong_permits > 100
    assert strict.permitted == 0
    assert strict.wrong_reasons > 0
    assert strict.wrong == strict.wrong_refusals + strict.wrong_reasons
