"""Secure sum: exact or an error, under drop-outs, and against a hub, a recipient and members that cheat."""

import json
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oneteam.core.errors import BadSignatureError, OneteamError, ReplayError, RoundError, TooLargeError, WrongTypeError
from oneteam.core.keys import Keys, PublicKeys, decode, encode
from oneteam.privacy.secure_sum import (
    CHUNK_CELLS,
    MaskedShare,
    MemberRound,
    Opening,
    Recipient,
    Reveal,
    Round,
    ShareHeader,
    Vote,
    check_receipt,
    join_secret,
    parse,
    receipt_of,
    split_secret,
)

KEYS = {name: Keys.generate() for name in (*(f"m{i}" for i in range(10)), "agency", "stranger")}
ROSTER = {name: keys.public for name, keys in KEYS.items() if name != "stranger"}


def lookup(name):
    return ROSTER.get(name)


class Session:
    """All sides of one round in one place; each test lets it run as far as it needs."""

    def __init__(self, n=4, s=3, t=1, cells=5, **more):
        names = tuple(f"m{i}" for i in range(n))
        self.plan = Round(secrets.token_hex(16), secrets.token_hex(32), names, "agency", s, t, **more)
        self.members = {name: MemberRound(self.plan, name, KEYS[name], lookup) for name in names}
        self.recipient = Recipient(self.plan, KEYS["agency"], lookup)
        self.values = {name: np.random.default_rng(i).integers(-1000, 1000, cells) for i, name in enumerate(names)}
        self.openings = {}
        self.shares = {}

    def open(self, who=None):
        for name in self.members if who is None else who:
            self.openings[name] = self.members[name].open()
        return self

    def mask(self, who=None):
        for name in self.openings if who is None else who:
            self.shares[name] = self.members[name].mask(self.openings.values(), self.values[name])
        return self

    def headers(self, who=None):
        return [self.shares[name].header for name in (self.shares if who is None else who)]

    def votes(self, who=None):
        return [self.members[name].agree(self.headers(who)) for name in (self.shares if who is None else who)]

    def combine(self, reveals):
        return self.recipient.combine(self.openings.values(), self.shares.values(), reveals)

    def expected(self, who):
        return sum(self.values[name] for name in who)


def run(plan_size, before_mask, before_reveal, after_agree, cells=7):
    """One round with drop-outs at three points; the sum, and who is in it."""
    n, s, t = plan_size
    names = [f"m{i}" for i in range(n)]
    session = Session(n, s, t, cells)
    session.open([name for name in names if name not in before_mask])
    session.mask([name for name in session.openings if name not in before_reveal])
    headers = session.recipient.check_shares(session.openings.values(), session.shares.values())
    votes = [session.members[header.member].agree(headers) for header in headers] if len(headers) < len(session.openings) else []
    reveals = [session.members[h.member].reveal(headers, votes) for h in headers if h.member not in after_agree]
    return session.combine(reveals), session.expected(session.shares)


def sizes():
    return st.integers(2, 8).flatmap(
        lambda n: st.integers(0, n - 1).flatmap(lambda t: st.tuples(st.just(n), st.integers((n + t) // 2 + 1, n), st.just(t)))
    )


@settings(max_examples=50, deadline=None)
@given(sizes(), st.data())
def test_any_dropouts_give_the_exact_sum_or_a_round_error(size, data):
    names = [f"m{i}" for i in range(size[0])]
    stages = [data.draw(st.sets(st.sampled_from(names), max_size=3)) for _ in range(3)]
    stages[1] -= stages[0]
    stages[2] -= stages[0] | stages[1]
    lost = sum(len(stage) for stage in stages)
    if lost <= size[0] - size[1]:
        total, expected = run(size, *stages)
        assert (total == expected).all()
    else:
        with pytest.raises(RoundError):
            run(size, *stages)


@pytest.mark.parametrize("cells", [1, CHUNK_CELLS - 1, CHUNK_CELLS, CHUNK_CELLS + 1, 3 * CHUNK_CELLS + 17])
def test_any_length_and_a_dropout(cells):
    total, expected = run((5, 4, 1), set(), {"m2"}, set(), cells)
    assert (total == expected).all()


def test_the_sum_wraps_modulo_two_to_the_64_and_takes_both_kinds_of_integers():
    session = Session(2, 2, 0, 3)
    session.values = {"m0": np.array([2**63 - 1, -(2**63), 5], np.int64), "m1": np.array([1, 2**63, 2**64 - 7], np.uint64)}
    session.open().mask()
    total = session.combine([member.reveal(session.headers()) for member in session.members.values()])
    assert total.tolist() == [-(2**63), 0, -2]


@pytest.mark.parametrize("values", [np.zeros((2, 2), np.int64), np.zeros(3), np.zeros(0, np.int64), np.zeros(3, np.int32)])
def test_values_of_another_kind_are_refused_before_anything_leaves(values):
    session = Session().open()
    with pytest.raises(WrongTypeError):
        session.members["m0"].mask(session.openings.values(), values)
    session.mask()  # nothing had left, so the round goes on


@pytest.mark.parametrize(("n", "s", "t"), [(3, 2, 1), (4, 2, 0), (6, 3, 0), (6, 4, 2), (3, 4, 1), (1, 1, 0), (4, 3, -1), (4, 0, 0)])
def test_thresholds_that_protect_nothing_are_refused(n, s, t):
    with pytest.raises(RoundError):
        Session(n, s, t)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "0" * 31},
        {"id": "zz" * 16},
        {"query_id": "0" * 10},
        {"participants": ("m0", "m0", "m1", "m2")},
        {"participants": ("m0", "m1", "M2", "m3")},
        {"recipient": ""},
        {"contributors": ("m9",)},
        {"min_contributors": 5},
        {"min_contributors": 0},
        {"id": 7},
    ],
)
def test_malformed_rounds_are_refused(change):
    with pytest.raises(RoundError):
        replace(Session().plan, **change)


def test_a_masked_share_alone_looks_uniform():
    session = Session(cells=40_000)
    session.values = {name: np.zeros(40_000, np.int64) for name in session.members}
    session.open().mask()
    for share in session.shares.values():
        counts = np.bincount(np.frombuffer(share.values, np.uint8), minlength=256)
        expected = counts.sum() / 256
        assert ((counts - expected) ** 2 / expected).sum() < 255 + 6 * np.sqrt(2 * 255)
    two = np.frombuffer(session.shares["m0"].values, "<u8") + np.frombuffer(session.shares["m1"].values, "<u8")
    assert np.unique(two).size == 40_000  # pairs do not cancel either


# --- who may not take part, and what may not be said twice ------------------------------------------------------------------------------


def test_each_step_is_done_once():
    session = Session().open().mask()
    member = session.members["m0"]
    with pytest.raises(ReplayError):
        member.open()
    with pytest.raises(ReplayError):
        member.mask(session.openings.values(), session.values["m0"])
    member.reveal(session.headers())
    with pytest.raises(ReplayError):
        member.reveal(session.headers())


def test_each_step_is_done_once_by_however_many_threads():
    session = Session().open()
    member = session.members["m0"]

    def attempt(step):
        try:
            return step()
        except ReplayError:
            return None

    with ThreadPoolExecutor(8) as pool:
        mask = partial(member.mask, list(session.openings.values()), session.values["m0"])
        masked = [done for done in pool.map(attempt, [mask] * 8) if done]
        assert len(masked) == 1
        session.shares["m0"] = masked[0]
        session.mask(["m1", "m2", "m3"])
        reveals = [done for done in pool.map(attempt, [partial(member.reveal, session.headers())] * 8) if done]
        assert len(reveals) == 1


def test_steps_out_of_order_are_refused():
    session = Session()
    with pytest.raises(RoundError):
        session.members["m0"].mask([], session.values["m0"])
    session.open()
    with pytest.raises(RoundError):
        session.members["m0"].reveal([])
    with pytest.raises(RoundError):
        session.members["m0"].agree([])
    with pytest.raises(RoundError):
        MemberRound(session.plan, "agency", KEYS["agency"], lookup)


def test_a_substituted_key_is_found():
    session = Session().open()
    forged = session.openings["m1"].model_copy(update={"public_key": encode(Keys.generate().public.seal)})
    openings = [*(o for name, o in session.openings.items() if name != "m1"), forged]
    with pytest.raises(BadSignatureError):
        session.members["m0"].mask(openings, session.values["m0"])
    with pytest.raises(BadSignatureError):
        session.recipient.check_openings(openings)


@pytest.mark.parametrize("field", ["commitment", "shares", "signature"])
def test_every_field_of_an_opening_is_signed(field):
    session = Session().open()
    other = Session().open()
    forged = session.openings["m1"].model_copy(update={field: getattr(other.openings["m1"], field)})
    with pytest.raises(BadSignatureError):
        session.members["m0"].mask([forged if o.member == "m1" else o for o in session.openings.values()], session.values["m0"])


def test_an_opening_signed_by_a_stranger_or_by_another_member_is_refused():
    session = Session()
    impostor = MemberRound(session.plan, "m1", KEYS["stranger"], lookup)
    session.open(["m0", "m2", "m3"])
    with pytest.raises(BadSignatureError):
        session.members["m0"].mask([*session.openings.values(), impostor.open()], session.values["m0"])
    known = {name: public for name, public in ROSTER.items() if name != "m1"}
    unknown = Session().open()
    with pytest.raises(BadSignatureError, match="roster"):
        Recipient(unknown.plan, KEYS["agency"], known.get).check_openings(unknown.openings.values())


@pytest.mark.parametrize("change", ["query_id", "id", "participants", "recipient", "threshold", "colluding", "min_contributors"])
def test_members_that_were_told_different_rounds_do_not_mask_for_each_other(change):
    session = Session(5, 4, 1)
    told = {
        "query_id": secrets.token_hex(32),
        "id": secrets.token_hex(16),
        "participants": ("m0", "m1", "m2", "m3", "m5"),
        "recipient": "m4",
        "threshold": 5,
        "colluding": 0,
        "min_contributors": 2,
    }
    altered = MemberRound(replace(session.plan, **{change: told[change]}), "m1", KEYS["m1"], lookup)
    session.open(["m0", "m2", "m3", "m4"])
    session.openings["m1"] = altered.open()
    for name in ("m0", "m2"):
        with pytest.raises(RoundError, match="speaks of"):
            session.members[name].mask(session.openings.values(), session.values[name])


def test_an_altered_query_under_the_same_round_and_plan_is_found():
    session = Session().open()
    altered = session.openings["m1"].model_copy(update={"query": "f" * 64})
    with pytest.raises(BadSignatureError):
        session.members["m0"].mask([altered if o.member == "m1" else o for o in session.openings.values()], session.values["m0"])


def test_a_replayed_opening_of_a_reused_round_never_gives_a_wrong_sum():
    first = Session().open()
    again = Session()
    again.plan = first.plan
    again.members = {name: MemberRound(first.plan, name, KEYS[name], lookup) for name in first.members}
    again.recipient = Recipient(first.plan, KEYS["agency"], lookup)
    again.open()
    with pytest.raises(ReplayError):  # its own opening is not the one it made
        again.members["m0"].mask(first.openings.values(), again.values["m0"])
    # m1's opening of the first try, shown to the others only: m1's own share then speaks of other openings
    replayed = {**again.openings, "m1": first.openings["m1"]}
    shares = {name: again.members[name].mask(replayed.values(), again.values[name]) for name in ("m0", "m2", "m3")}
    shares["m1"] = again.members["m1"].mask(again.openings.values(), again.values["m1"])
    for openings in (replayed, again.openings):
        with pytest.raises(RoundError):
            again.recipient.check_shares(openings.values(), shares.values())
    with pytest.raises(RoundError):
        again.members["m0"].reveal([share.header for share in shares.values()])


def test_too_few_contributors_are_refused_by_each_member():
    session = Session(4, 3, 1, contributors=("m0", "m1", "m2"), min_contributors=3)
    session.open(["m0", "m1", "m3"])
    for name in session.openings:
        with pytest.raises(RoundError, match="contributors"):
            session.members[name].mask(session.openings.values(), session.values[name])
    session = Session(4, 3, 1, contributors=("m0", "m1", "m2"), min_contributors=3).open().mask(["m0", "m1", "m3"])
    for name in session.shares:
        with pytest.raises(RoundError, match="contributors"):
            session.members[name].agree(session.headers())


def test_too_few_openings_are_refused():
    session = Session().open(["m0", "m1"])
    with pytest.raises(RoundError):
        session.members["m0"].mask(session.openings.values(), session.values["m0"])
    with pytest.raises(RoundError):
        session.recipient.check_openings(session.openings.values())


def test_documents_that_stand_twice_are_refused():
    session = Session().open()
    with pytest.raises(RoundError, match="twice"):
        session.members["m0"].mask([*session.openings.values(), session.openings["m1"]], session.values["m0"])


# --- a recipient that cheats ------------------------------------------------------------------------------------------------------------


def test_a_dropout_is_not_revealed_for_without_votes():
    session = Session().open().mask()
    left = session.headers(["m0", "m1", "m2"])
    with pytest.raises(RoundError, match="agreed"):
        session.members["m0"].reveal(left)
    votes = [session.members[name].agree(left) for name in ("m0", "m1")]
    with pytest.raises(RoundError, match="2 members agreed"):
        session.members["m0"].reveal(left, votes)
    forged = votes[0].model_copy(update={"member": "m2"})
    with pytest.raises(BadSignatureError):
        session.members["m0"].reveal(left, [*votes, forged])


def test_two_survivor_sets_asked_of_members():
    session = Session(5, 4, 1).open().mask()
    one, two = ["m0", "m1", "m2", "m3"], ["m0", "m1", "m2", "m4"]
    vote = session.members["m0"].agree(session.headers(one))
    assert vote == session.members["m0"].agree(session.headers(one))
    with pytest.raises(ReplayError):
        session.members["m0"].agree(session.headers(two))
    with pytest.raises(ReplayError):
        session.members["m0"].reveal(session.headers())
    session.members["m1"].reveal(session.headers())
    with pytest.raises(ReplayError):
        session.members["m1"].agree(session.headers(one))
    with pytest.raises(RoundError):  # nobody reveals where he himself is said to have dropped out
        session.members["m4"].agree(session.headers(one))


def test_votes_for_another_set_do_not_count():
    session = Session(6, 4, 1).open().mask()
    one, two = ["m0", "m1", "m2", "m3", "m5"], ["m0", "m1", "m2", "m3", "m4"]
    votes = [session.members[name].agree(session.headers(one)) for name in one[:4]]
    with pytest.raises(RoundError, match="0 members agreed"):
        session.members["m4"].reveal(session.headers(two), votes)
    other = Session(6, 4, 1).open().mask()
    with pytest.raises(RoundError, match="speaks of"):
        other.members["m4"].reveal(other.headers(two), votes)
    assert session.members["m5"].reveal(session.headers(one), votes).survivors == tuple(one)


def test_reveals_for_two_survivor_sets_are_not_combined():
    session = Session(5, 4, 1).open().mask()
    reveals = [session.members[name].reveal(session.headers()) for name in ("m0", "m1", "m2")]
    forged = reveals[0].model_copy(update={"survivors": ("m0", "m1", "m2", "m3")})
    with pytest.raises(BadSignatureError):
        session.combine([forged, *reveals[1:]])
    with pytest.raises(RoundError):
        session.combine(reveals)


@settings(max_examples=40, deadline=None)
@given(sizes(), st.data())
def test_no_recipient_gets_both_secrets_of_a_member_or_a_sum_of_too_few(size, data):
    """The recipient, t members and the hub cheat together: they vote for everything and tell every honest member something else."""
    n, s, t = size
    assume(n >= 3)
    session = Session(n, s, t, 1).open().mask()
    names = list(session.members)
    colluding, honest = names[:t], names[t:]
    told = {}
    everywhere = [(*colluding, *rest) for size_ in range(max(s - t, 1), n - t + 1) for rest in combinations(honest, size_)]
    few = data.draw(st.lists(st.sampled_from(everywhere), min_size=1, max_size=3))
    votes = {}
    for name in data.draw(st.permutations(honest)):
        told[name] = data.draw(st.sampled_from(few))
        try:
            votes.setdefault(told[name], []).append(session.members[name].agree(session.headers(told[name])))
        except OneteamError:
            continue
    for asked in set(few):
        votes.setdefault(asked, [])
        votes[asked] += [cheating_vote(session, name, asked) for name in colluding]
    got = {name: {"seed": 0, "key": 0} for name in honest}
    for name in honest:
        for asked in (tuple(names), *few):
            try:
                reveal = session.members[name].reveal(session.headers(asked), votes.get(asked, []))
            except OneteamError:
                continue
            for of in honest:
                got[of]["seed" if of in reveal.survivors else "key"] += 1
    seeds = [name for name in honest if got[name]["seed"] + t >= s]
    keys = [name for name in honest if got[name]["key"] + t >= s]
    assert not set(seeds) & set(keys)
    assert len(seeds) == 0 or len(seeds) >= s - t


@pytest.mark.parametrize("votes_are_asked_for", [True, False])
def test_without_votes_a_threshold_over_half_would_not_be_enough(votes_are_asked_for, monkeypatch):
    """n = 6, t = 1, s = 4: by telling each member another set, a recipient would learn the sum of two members where it may learn four."""
    session = Session(6, 4, 1).open().mask()
    if not votes_are_asked_for:
        monkeypatch.setattr(MemberRound, "_check_votes", lambda *_: None)
    seeds, keys = dict.fromkeys(session.members, 1), dict.fromkeys(session.members, 1)  # m5 colludes and gives both shares of each
    for name, third in {"m0": "m2", "m1": "m3", "m2": "m2", "m3": "m3", "m4": "m4"}.items():
        asked = session.headers(sorted({"m0", "m1", third, "m5"}))
        votes = [cheating_vote(session, "m5", {header.member for header in asked})]
        try:
            reveal = session.members[name].reveal(asked, votes)
        except RoundError:
            continue
        for of in session.members:
            (seeds if of in reveal.survivors else keys)[of] += 1
    alone = min(seeds["m0"], seeds["m1"], keys["m2"], keys["m3"], keys["m4"]) >= 4
    assert alone is not votes_are_asked_for


def cheating_vote(session, name, survivors):
    """A member that colludes votes as often as it likes: a fresh state each time."""
    member = session.members[name]
    member._survivors = None
    return member.agree(session.headers([m for m in session.members if m in survivors]))


def test_a_reveal_holds_one_share_for_each_who_opened_and_only_the_recipient_reads_it():
    session = Session().open().mask(["m0", "m1", "m2"])
    headers = session.headers()
    votes = session.votes()
    reveal = session.members["m0"].reveal(headers, votes)
    assert len(decode(reveal.sealed)) == 32 * 4 + 32 + 16  # the shares, HPKE's key and its tag
    for name in ("m1", "m3"):
        with pytest.raises(RoundError):
            Recipient(session.plan, KEYS[name], lookup)._opened_reveal(reveal, 4)
    assert len(session.recipient._opened_reveal(reveal, 4)) == 32 * 4


# --- what reaches the recipient is checked ----------------------------------------------------------------------------------------------


def test_altered_values_are_found():
    session = Session().open().mask()
    reveals = [member.reveal(session.headers()) for member in session.members.values()]
    good = session.shares["m1"]
    for values in (good.values[:-1] + bytes([good.values[-1] ^ 1]), good.values[:-8], good.values + bytes(8), b""):
        session.shares["m1"] = MaskedShare(good.header, values)
        with pytest.raises(RoundError):
            session.combine(reveals)
    session.shares["m1"] = MaskedShare(good.header.model_copy(update={"cells": 6}), good.values)
    with pytest.raises(BadSignatureError):
        session.combine(reveals)
    session.shares["m1"] = good
    assert (session.combine(reveals) == session.expected(session.members)).all()


def test_tables_of_different_sizes_are_refused():
    session = Session().open()
    session.values["m3"] = np.zeros(6, np.int64)
    session.mask()
    with pytest.raises(RoundError, match="size"):
        session.recipient.check_shares(session.openings.values(), session.shares.values())
    with pytest.raises(RoundError, match="size"):
        session.members["m0"].reveal(session.headers())


def test_a_wrong_secret_share_gives_an_error_and_not_a_wrong_sum():
    for dropped in (False, True):
        session = Session().open().mask(["m0", "m1", "m2"] if dropped else None)
        votes = session.votes() if dropped else []
        cheat = session.members["m1"]
        victim = "m3" if dropped else "m0"
        cheat._shares = {**cheat._shares, victim: bytes(64)}
        reveals = [session.members[name].reveal(session.headers(), votes) for name in session.shares]
        with pytest.raises(RoundError, match=victim):
            session.combine(reveals)


def test_a_share_that_cannot_be_opened_stops_the_round():
    session = Session()
    session.open(["m0", "m2", "m3"])
    blind = {**ROSTER, "m0": PublicKeys(ROSTER["m0"].verify, Keys.generate().public.seal)}
    session.openings["m1"] = MemberRound(session.plan, "m1", KEYS["m1"], blind.get).open()
    with pytest.raises(RoundError, match="m1"):
        session.members["m0"].mask(session.openings.values(), session.values["m0"])


def test_keys_of_low_order_are_refused():
    low = {**ROSTER, "m1": PublicKeys(ROSTER["m1"].verify, bytes(32))}
    session = Session()
    with pytest.raises(RoundError, match="low order"):
        MemberRound(session.plan, "m0", KEYS["m0"], low.get).open()
    session.open()
    from oneteam.privacy import secure_sum

    weak = secure_sum._signed(session.openings["m1"].model_copy(update={"public_key": encode(bytes(32))}), KEYS["m1"])
    # The share was sealed for the true key, so this is what stops it first.
    with pytest.raises(RoundError):
        session.members["m0"].mask([weak if o.member == "m1" else o for o in session.openings.values()], session.values["m0"])
    with pytest.raises(RoundError, match="low order"):
        secure_sum._pair_key(KEYS["m0"].opening, encode(bytes(32)), ("m0", "m1"), session.plan, "")


def test_a_late_share_of_one_who_was_said_to_have_dropped_out_is_left_out_and_stays_hidden():
    session = Session().open().mask()
    left = ["m0", "m1", "m2"]
    votes = session.votes(left)
    reveals = [session.members[name].reveal(session.headers(left), votes) for name in left]
    assert (session.combine(reveals) == session.expected(left)).all()
    # The recipient now knows m3's key, so all its pairwise masks; without the seed its table stays hidden.
    assert session.shares["m3"].header.member not in reveals[0].survivors


def test_receipts():
    session = Session().open().mask()
    header = session.shares["m2"].header
    receipt = receipt_of(header)
    check_receipt(receipt, round_id=session.plan.id, query_id=session.plan.query_id, lookup=lookup)
    for changed in (
        {"round_id": "0" * 32},
        {"query_id": "0" * 64},
        {"receipt": receipt.model_copy(update={"member": "m1"})},
        {"receipt": receipt.model_copy(update={"sha256": "0" * 64})},
        {"receipt": receipt.model_copy(update={"member": "stranger"})},
        {"receipt": receipt.model_copy(update={"signature": "!"})},
    ):
        given_ = {"receipt": receipt, "round_id": session.plan.id, "query_id": session.plan.query_id} | changed
        with pytest.raises(OneteamError):
            check_receipt(given_.pop("receipt"), **given_, lookup=lookup)


def test_nothing_secret_is_printed():
    session = Session().open().mask()
    member = session.members["m0"]
    assert "bytes" not in repr(member)
    assert "values=" not in repr(session.shares["m0"]).replace("values='", "")
    assert member._secret is None
    assert member._seed == b""


# --- documents from outside -------------------------------------------------------------------------------------------------------------


def documents():
    session = Session().open().mask(["m0", "m1", "m2"])
    vote = session.votes()[0]
    reveal = session.members["m0"].reveal(session.headers(), [vote, *session.votes()[1:]])
    return {Opening: session.openings["m0"], ShareHeader: session.shares["m0"].header, Vote: vote, Reveal: reveal}


DOCUMENTS = documents()


@pytest.mark.parametrize("kind", DOCUMENTS, ids=lambda kind: kind.__name__)
def test_documents_survive_the_wire(kind):
    document = DOCUMENTS[kind]
    assert parse(kind, document.model_dump_json()) == document
    assert parse(kind, document.model_dump_json().encode()) == document
    with pytest.raises(TooLargeError):
        parse(kind, b" " * (1 << 21))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(DOCUMENTS)), st.binary(max_size=200))
def test_random_bytes_are_refused(kind, raw):
    with pytest.raises(OneteamError):
        parse(kind, raw)


JUNK = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=90), st.lists(st.text(max_size=5), max_size=3))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(DOCUMENTS)), st.data())
def test_mutated_documents_never_pass_and_never_crash(kind, data):
    body = json.loads(DOCUMENTS[kind].model_dump_json())
    name = data.draw(st.sampled_from([*body, "extra"]))
    before = body.get(name)
    body[name] = data.draw(JUNK | st.dictionaries(st.text(max_size=4), st.text(max_size=9), max_size=2))
    assume(body[name] != before)
    session = Session()
    member = MemberRound(replace(session.plan, id=DOCUMENTS[kind].round), "m0", KEYS["m0"], lookup)
    member.open()

    def hand_in():
        member.mask([parse(kind, json.dumps(body))], session.values["m0"])

    with pytest.raises(OneteamError):
        hand_in()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_mutated_documents_are_refused_in_the_round_that_they_belong_to(data):
    session = Session().open()
    body = json.loads(session.openings["m1"].model_dump_json())
    name = data.draw(st.sampled_from(list(body)))
    text = json.dumps(body[name])
    at = data.draw(st.integers(1, len(text) - 2))
    changed = text[:at] + data.draw(st.sampled_from('0aZ_-\\"é')) + text[at + 1 :]
    assume(changed != text)

    def hand_in():
        forged = parse(Opening, json.dumps(body).replace(text, changed, 1))
        assert forged != session.openings["m1"]
        session.members["m0"].mask([forged if o.member == "m1" else o for o in session.openings.values()], session.values["m0"])

    with pytest.raises(OneteamError):
        hand_in()


def test_documents_of_another_kind_are_refused():
    session = Session().open().mask()
    with pytest.raises(WrongTypeError):
        session.members["m0"].reveal(list(session.openings.values()))


# --- Shamir -----------------------------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=40), st.integers(1, 12), st.data())
def test_any_threshold_of_shares_gives_the_secret(secret, points, data):
    threshold = data.draw(st.integers(1, points))
    shares = split_secret(secret, points, threshold)
    chosen = data.draw(st.permutations(range(points)))[:threshold]
    assert join_secret({at + 1: shares[at] for at in chosen}) == secret


def test_multiplication_is_that_of_the_field():
    """Against the definition: carry-less product, then the remainder by x^8 + x^4 + x^3 + x + 1."""
    from oneteam.privacy.secure_sum import _inverse, _product, _times

    def plain(a, b):
        wide = 0
        for bit in range(8):
            wide ^= (a << bit) if b >> bit & 1 else 0
        for bit in range(14, 7, -1):
            wide ^= (0x11B << (bit - 8)) if wide >> bit & 1 else 0
        return wide

    everything = np.arange(256, dtype=np.uint8)
    for factor in range(256):
        products = [plain(value, factor) for value in range(256)]
        assert _times(everything, factor).tolist() == products
        assert [_product(value, factor) for value in (0, 1, 83, 255)] == [products[value] for value in (0, 1, 83, 255)]
    assert all(_product(value, _inverse(value)) == 1 for value in range(1, 256))


def test_one_share_fewer_says_nothing():
    """Below the threshold, every value of the secret is as likely as any other."""
    for secret in (b"\0", b"\xff"):
        # Each byte is shared by itself, so a long secret is many secrets.
        counts = np.bincount(np.frombuffer(split_secret(20_000 * secret, 3, 3)[1], np.uint8), minlength=256)
        assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 255 + 6 * np.sqrt(2 * 255)


def test_255_points_are_possible_and_256_are_not():
    shares = split_secret(b"s", 255, 40)
    assert join_secret({at + 1: shares[at] for at in range(215, 255)}) == b"s"
    with pytest.raises(RoundError):
        split_secret(b"s", 256, 200)
    for bad in ({}, {0: b"a", 1: b"b"}, {1: b"a", 2: b"bc"}):
        with pytest.raises(RoundError):
            join_secret(bad)


def test_the_pages_table_of_thresholds_is_true():
    page = (Path(__file__).parents[2] / "docs" / "secure-sum.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) \|$", page, re.MULTILINE)
    assert len(rows) >= 7
    for row in rows:
        n, t, s, dropouts = map(int, row[:4])
        assert Session(n, s, t).plan.most_dropouts == dropouts
        with pytest.raises(RoundError):
            Session(n, s - 1, t)
        assert float(row[4]) == pytest.approx((n / (s - t)) ** 0.5, abs=0.005)
