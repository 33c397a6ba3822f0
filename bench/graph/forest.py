"""The forest: who invited whom, what they bought, and the sums that follow, as numpy arrays from a seed.

It knows nothing of databases. A member is an index from 0; its number is the index + 1, and a referrer's index is always smaller.
"""

from dataclasses import dataclass

import numpy as np

SEGMENT_DEPTH = 63  # base/limits.rs
ACTIVITY_DAYS_KEPT = 62  # base/limits.rs
HISTORY_DAYS = 730
DAY_US = 86_400 * 1_000_000

# Shares of the members: below one root, directly below one star, in one chain (of 10,000 where the forest has room); the rest.
GIANT_SHARE, STAR_SHARE, CHAIN_SHARE, CHAIN_MAX = 0.30, 0.10, 0.01, 10_000
# How a member of the rest finds its referrer: nobody, one of those who just joined (a cascade), anyone, or by their referees.
ROOT_PROBABILITY, RECENT_PROBABILITY, UNIFORM_PROBABILITY = 0.02, 0.40, 0.25
RECENT_MEMBERS = 200


@dataclass
class Forest:
    """Arrays by member, and the conversions. Moments are microseconds since 1970."""

    parent: np.ndarray
    depth: np.ndarray
    size: np.ndarray  # members below
    referee_count: np.ndarray
    joined_us: np.ndarray
    signed_up: np.ndarray
    activated_us: np.ndarray  # -1: not activated
    value_minor: np.ndarray
    last_active_us: np.ndarray  # -1: never
    buyers: np.ndarray  # by conversion
    bought_us: np.ndarray
    amount_minor: np.ndarray
    giant: int
    star: int
    chain: np.ndarray  # from its first member to its last
    now_us: int

    def __len__(self):
        return len(self.parent)

    @property
    def is_anchor(self):
        """Where paths start anew: `is_anchor` of the table."""
        return (self.depth > 0) & (self.depth % SEGMENT_DEPTH == 0) & (self.referee_count > 0)


def grow(count: int, seed: int, now_us: int) -> Forest:
    """A forest of `count` members as of a moment. The same arguments give the same forest."""
    rng = np.random.default_rng([seed, count])
    parent, giant, star, chain = _edges(count, rng)
    depth = _depths(parent)
    referee_count = np.bincount(parent[parent >= 0], minlength=count).astype(np.int32)

    span_us = HISTORY_DAYS * DAY_US
    joined_us = now_us - span_us + np.sort(rng.integers(0, span_us - count, count)) + np.arange(count)
    # Who invited somebody has signed up.
    signed_up = (rng.random(count) < 0.95) | (referee_count > 0)
    activated_us = joined_us + (rng.exponential(3, count) * DAY_US).astype(np.int64)
    activated_us[~signed_up | (rng.random(count) > 0.4) | (activated_us > now_us)] = -1

    buyers = np.sort(rng.choice(np.flatnonzero(signed_up), size=int(count * 0.16)))
    bought_us = joined_us[buyers] + (rng.random(len(buyers)) * (now_us - joined_us[buyers])).astype(np.int64)
    amount_minor = np.maximum(1, rng.lognormal(8, 1.5, len(buyers))).astype(np.int64)
    value_minor = np.zeros(count, np.int64)
    np.add.at(value_minor, buyers, amount_minor)
    last_active_us = np.maximum(np.where(signed_up, joined_us, -1), activated_us)
    np.maximum.at(last_active_us, buyers, bought_us)
    return Forest(
        parent, depth, _sizes(parent, depth), referee_count, joined_us, signed_up, activated_us, value_minor,
        last_active_us, buyers, bought_us, amount_minor, giant, star, chain, now_us,
    )


def _edges(count, rng):
    """Deals the members out to the giant tree, the star, the chain and the rest, and links each within its own group."""
    counts = [int(count * GIANT_SHARE), int(count * STAR_SHARE) + 1, min(CHAIN_MAX, int(count * CHAIN_SHARE)) + 1]
    group = rng.permutation(np.repeat(np.arange(4), [*counts, count - sum(counts)]))
    parent = np.full(count, -1, np.int64)
    giant, star, chain, rest = (np.flatnonzero(group == g) for g in range(4))
    _attach(parent, giant, rng, first_roots=1, root_probability=0)
    parent[star[1:]] = star[0]
    parent[chain[1:]] = chain[:-1]
    _attach(parent, rest, rng, first_roots=100, root_probability=ROOT_PROBABILITY)
    return parent, int(giant[0]), int(star[0]), chain


def _attach(parent, members, rng, first_roots, root_probability):
    """Preferential attachment by copying: who joins takes the referrer of somebody chosen evenly, so that those with many get more."""
    count = len(members)
    place = np.arange(count)
    way = rng.random(count)
    chosen = (rng.random(count) * place).astype(np.int64)
    recent = np.maximum(0, place - 1 - rng.exponential(RECENT_MEMBERS, count).astype(np.int64))
    is_root = (way < root_probability) | (place < first_roots)
    is_recent = way - root_probability < RECENT_PROBABILITY
    is_copy = way - root_probability >= RECENT_PROBABILITY + UNIFORM_PROBABILITY
    local = np.where(is_root, -1, np.where(is_recent, recent, chosen))
    is_open = is_copy & ~is_root
    todo = np.flatnonzero(is_open)
    while len(todo):
        source = chosen[todo]
        ready = ~is_open[source]
        done, source = todo[ready], source[ready]
        # A root has no referrer to copy: it becomes the referrer.
        local[done] = np.where(local[source] < 0, source, local[source])
        todo = todo[~ready]
        is_open[done] = False
    parent[members] = np.where(local < 0, -1, members[local])


def _depths(parent):
    depth = np.zeros(len(parent), np.int32)
    active, above = np.flatnonzero(parent >= 0), parent[parent >= 0]
    while len(active):
        depth[active] += 1
        above = parent[above]
        active, above = active[above >= 0], above[above >= 0]
    return depth


def _sizes(parent, depth):
    size = np.zeros(len(parent), np.int64)
    order = np.argsort(depth, kind="stable")
    starts = np.searchsorted(depth[order], np.arange(depth.max() + 2))
    for level in range(depth.max(), 0, -1):
        members = order[starts[level] : starts[level + 1]]
        np.add.at(size, parent[members], size[members] + 1)
    return size


def kept_downlines(forest):
    """Yields the rows of `member_downlines` by degree: (numbers, degree, members, signed up, activated, value)."""
    count, is_anchor = len(forest), forest.is_anchor
    members = np.flatnonzero(forest.parent >= 0)
    above = forest.parent[members]
    degree = 0
    while len(members):
        degree += 1
        tops, slot = np.unique(above, return_inverse=True) if len(above) < count / 20 else _dense(above, count)
        sums = [
            np.bincount(slot, weights=weights, minlength=len(tops)).astype(np.int64)
            for weights in (
                None, forest.signed_up[members], forest.activated_us[members] >= 0, forest.value_minor[members],
            )
        ]
        yield tops + 1, degree, *sums
        goes_on = ~is_anchor[above] & (forest.parent[above] >= 0)
        members, above = members[goes_on], forest.parent[above[goes_on]]


def _dense(values, count):
    """The same as np.unique with the inverse, without a sort, for values below `count` of which most occur."""
    tops = np.flatnonzero(np.bincount(values, minlength=count))
    slots = np.zeros(count, np.int64)
    slots[tops] = np.arange(len(tops))
    return tops, slots[values]


def kept_activity(forest):
    """The rows of `member_activity_days`: (numbers, days since 1970, members)."""
    first_day = forest.now_us // DAY_US - ACTIVITY_DAYS_KEPT
    day = forest.last_active_us // DAY_US
    members = np.flatnonzero((day >= first_day) & (forest.parent >= 0))
    above, is_anchor = forest.parent[members], forest.is_anchor
    parts = []
    while len(members):
        parts.append(above * 1_000 + day[members] - first_day)
        goes_on = ~is_anchor[above] & (forest.parent[above] >= 0)
        members, above = members[goes_on], forest.parent[above[goes_on]]
    keys, counts = np.unique(np.concatenate(parts), return_counts=True)
    return keys // 1_000 + 1, keys % 1_000 + first_day, counts
