from __future__ import annotations

import random
from typing import Any

import numpy as np
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from curation.kernels import minhash
from curation.kernels.buckets import CROSSED, GONE, MOST, OLD, REFERENCE, bucket_pairs, leaving

MANY = examples(1000)
BUCKET = 80  # more than CLOSE
ROLES = st.sampled_from([0, OLD, OLD | GONE])
MEMBERS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 7)), max_size=BUCKET
)  # of a sketch's pieces


def pairs(members: list[Any], roles: list[int] | None = None) -> set[tuple[int, int]]:
    """The pairs of one bucket whose documents are numbered by priority."""
    n = len(members)
    sketches = np.array([(x << 48) | (y << 32) | (x << 16) | y for x, y in members], np.int64)
    given = np.array(roles if roles is not None else [0] * n, np.int8)
    a, b = bucket_pairs(np.full(n, 5, np.int64), np.arange(n), sketches, given)
    assert len(a) <= MOST * n
    return set(zip(a.tolist(), b.tolist(), strict=True))


@MANY
@given(MEMBERS, st.integers(0, BUCKET))
def test_documents_added_later_change_no_pair(members: list[Any], size: int) -> None:
    whole = pairs(members)
    assert all(a < b for a, b in whole)
    assert {(a, b) for a, b in whole if b < size} == pairs(members[:size])


@MANY
@given(MEMBERS, st.data())
def test_old_documents_keep_their_place_and_those_gone_are_not_offered(
    members: list[Any], data: st.DataObject
) -> None:
    roles = sorted(
        data.draw(st.lists(ROLES, min_size=len(members), max_size=len(members))),
        key=lambda role: role == 0,
    )
    expected = {(a, b) for a, b in pairs(members) if not roles[b] & OLD and not roles[a] & GONE}
    assert pairs(members, roles) == expected


@MANY
@given(MEMBERS, st.lists(st.integers(0, BUCKET), max_size=3), st.randoms(use_true_random=False))
def test_batch_after_batch_removes_what_one_run_does(
    members: list[Any], cuts: list[int], rng: random.Random
) -> None:
    """Whatever pairs are alike: each batch sees the earlier ones as old, and what they lost as
    gone."""
    alike = {(a, b) for a in range(len(members)) for b in range(len(members)) if rng.random() < 0.4}

    def lost(found: set[tuple[int, int]]) -> set[int]:
        edges = sorted(found & alike, key=lambda e: (e[1], e[0]))
        a, b = (np.array([e[end] for e in edges], np.int64) for end in (0, 1))
        return set(np.flatnonzero(leaving(a, b, len(members))).tolist())

    gone: set[int] = set()
    start = 0
    for end in [*sorted(cuts), len(members)]:
        roles = [
            (OLD | GONE if i in gone else OLD) if i < start else 0
            for i in range(min(end, len(members)))
        ]
        gone |= lost(pairs(members[: len(roles)], roles))
        start = end
    assert gone == lost(pairs(members))


@MANY
@given(MEMBERS, st.data())
def test_of_a_crossed_pair_one_side_is_a_reference(members: list[Any], data: st.DataObject) -> None:
    sides = st.sampled_from([CROSSED, CROSSED | REFERENCE])
    roles = data.draw(st.lists(sides, min_size=len(members), max_size=len(members)))
    found = pairs(members, roles)
    assert all(roles[a] & REFERENCE and not roles[b] & REFERENCE for a, b in found)
    references = [i for i, role in enumerate(roles) if role & REFERENCE]
    for b in (i for i, role in enumerate(roles) if not role & REFERENCE):
        before = [i for i in references if i < b]
        assert {a for a, other in found if other == b} >= set(before[:1] + before[-1:])
        if len(before) <= 4:
            assert {a for a, other in found if other == b} == set(before)


def test_a_small_bucket_is_compared_whole_and_strangers_never() -> None:
    assert pairs([(0, 0)] * 5) == {(a, b) for b in range(5) for a in range(b)}
    a, _ = bucket_pairs(np.arange(9), np.arange(9), np.zeros(9, np.int64), np.zeros(9, np.int8))
    assert not len(a)


@MANY
@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda e: e[0] != e[1]),
        max_size=40,
    )
)
def test_leaving_is_the_walk_in_order_of_priority(edges: list[tuple[int, int]]) -> None:
    edges = sorted({(min(e), max(e)) for e in edges}, key=lambda e: (e[1], e[0]))
    stays: dict[int, bool] = {}
    for doc in range(13):
        stays[doc] = not any(stays[a] for a, b in edges if b == doc)
    found = leaving(*(np.array([e[i] for e in edges], np.int64) for i in (0, 1)), 13)
    assert [not left for left in found] == list(stays.values())


def hidden(clusters: int, boilerplate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Feature sets of near copies of one page, and of clusters of two to five pages that share half
    of that page; who is in which cluster.

    Returns (indptr, values, cluster); -1 for the one page's copies. Copies differ from the first of
    theirs in 4 of 120 features.
    """
    rng = np.random.default_rng(3)
    sizes = np.concatenate([[boilerplate], 2 + np.arange(clusters) % 4])
    cluster = np.repeat(np.arange(-1, clusters), sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    shared = np.where(cluster[:, None] < 0, 120, 60)  # features of the first page
    at = np.arange(120)
    sets = np.where(at < shared, at, 1_000_000 + 120 * cluster[:, None] + at)
    for _ in range(4):
        sets[np.arange(len(sets)), rng.integers(0, 120, len(sets))] = rng.integers(
            1 << 40, 1 << 50, len(sets)
        )
    sets[starts] = np.where(at < shared[starts], at, 1_000_000 + 120 * cluster[starts, None] + at)
    order = np.concatenate([[0], 1 + rng.permutation(len(sets) - 1)])
    chosen = np.sort(sets[order], axis=1)
    return np.arange(0, chosen.size + 1, 120), chosen.reshape(-1), cluster[order]


def test_a_thousand_clusters_are_found_in_a_bucket_of_two_hundred_thousand_near_copies() -> None:
    """They share that bucket and no other, the worst that boilerplate can do: 99 % of the copies
    leave, none for a stranger."""
    indptr, values, cluster = hidden(1000, 200_000)
    n = len(cluster)
    signed = minhash.signatures(indptr, values, *minhash.permutations(0, minhash.PIECES))
    one = np.zeros(n, np.int64)
    a, b = bucket_pairs(one, np.arange(n), minhash.sketches(signed), one.astype(np.int8))
    assert len(a) < 8 * n
    seeks = cluster[b] >= 0
    measured = [
        (
            first,
            doc,
            *minhash.intersection_and_union(
                values[indptr[first] : indptr[first + 1]], values[indptr[doc] : indptr[doc + 1]]
            ),
        )
        for first, doc in sorted(
            set(zip(a[seeks].tolist(), b[seeks].tolist(), strict=True)), key=lambda e: (e[1], e[0])
        )
    ]
    alike = np.array(
        [(first, doc) for first, doc, shared, total in measured if shared >= 0.8 * total]
    )
    assert (cluster[alike[:, 0]] == cluster[alike[:, 1]]).all()
    left = leaving(alike[:, 0], alike[:, 1], n)
    copies = int((cluster >= 0).sum()) - 1000
    found = len(np.unique(cluster[left]))
    assert found >= 995
    assert left.sum() >= 0.99 * copies
    settled = np.unique(
        b[(cluster[b] < 0) & (a == 0)]
    )  # near copies of the first page are compared with it
    assert len(settled) == 200_000 - 1
