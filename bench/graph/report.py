"""The graph's part of the page of benchmarks."""

import re
import time

import page
from page import millions, precise, table
from questions import SUBTREES, questions

WHOSE = {
    "any": "any member", "deep": "the deepest 1 %", "chain": "the end of a chain of 10,000", "referrer": "a referrer with 10 or more",
    "star": "a star: 10 % of all members", "pair": "two members of one tree", "all": "", **SUBTREES,
}
PAGES_MS, LIVE_MS, AGGREGATE_RATIO, GROWTH, UPKEEP = 2, 20, 100, 1.3, 0.20


def write(runs, command):
    page.write("graph", [head(runs, command), targets(runs), ratios(runs), *(figures(run) for run in runs), changes(runs)])


def head(runs, command):
    loads = [load for run in runs for load in run["loads"]]
    when = time.strftime("%Y-%m-%d", time.gmtime())
    return f"`{command}`, {when}. {page.loads(loads, runs[0]['cpus'])}"


def p50(run, key, engine):
    return run["rows"][key].get(engine, {}).get("p50")


def times(part, whole):
    """How many times faster, or slower: two figures are enough."""
    if part is None or whole is None:
        return "–"
    ratio = part / whole
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.1f}x" if ratio >= 1 else f"{ratio:.2f}x"


def ratio_to(run, key, engine):
    row = run["rows"][key]
    if row.get(engine, {}).get("slow"):
        return f"> {60_000 / row['ours']['p50']:,.0f}x" if "ours" in row else "–"
    return times(p50(run, key, engine), p50(run, key, "ours"))


# --- Tables ------------------------------------------------------------------------------------------------------------------------


def ratios(runs):
    first, last = runs[0], runs[-1]
    columns = ["question", "of"]
    columns += [f"recursive ÷ ours, {millions(run['count'])}" for run in runs]
    columns += [f"Kùzu ÷ ours, {millions(run['count'])}" for run in runs]
    columns += [f"API ÷ pgbench, {millions(last['count'])}"]
    if first is not last:
        columns += [f"{millions(last['count'])} ÷ {millions(first['count'])}"]
    rows = []
    for question in questions():
        key = question.key
        cells = [ratio_to(run, key, engine) for engine in ("cte", "kuzu") for run in runs]
        cells.append(times(p50(last, key, "api"), p50(last, key, "pgbench")))
        if first is not last:
            cells.append(times(p50(last, key, "ours"), p50(first, key, "ours")))
        rows.append([question.kind, WHOSE[question.asked_of], *cells])
    return "### Ratios of medians\n\n" + table(columns, rows)


def figures(run):
    columns = ["question", "of", "ours", "recursive", "Kùzu", "pgbench", "API", "statements"]
    rows = []
    for question in questions():
        row = run["rows"][question.key]
        label = [question.kind, WHOSE[question.asked_of]]
        if "absent" in row:
            rows.append([*label, row["absent"], *[""] * 5])
            continue
        cells = [cell(row[engine]) for engine in ("ours", "cte", "kuzu", "pgbench", "api")]
        rows.append([*label, *cells, row["statements"]["count"]])
    return f"### {run['count']:,} members: milliseconds, p50 / p99\n\n" + table(columns, rows)


def cell(found):
    return "over 60 s" if "slow" in found else f"{precise(found['p50'])} / {precise(found['p99'])}"


def changes(runs):
    columns = ["what", *(millions(run["count"]) for run in runs)]
    writes = [run["writes"] for run in runs]
    rows = [
        [f"sign-ups per second, all under one member {writes[-1]['signups']['hot']['depth']} levels deep",
         *(f"{found['signups']['hot']['per_second']:,.0f}" for found in writes)],
        ["sign-ups per second, spread over members", *(f"{found['signups']['spread']['per_second']:,.0f}" for found in writes)],
        ["kept sums' share of the worker's time, one referrer / spread",
         *(f"{found['signups']['hot']['kept_share']:.1%} / {found['signups']['spread']['kept_share']:.1%}" for found in writes)],
        ["import, rows per second", *(f"{found['import']['per_second']:,.0f} of {found['import']['rows']:,} rows" for found in writes)],
    ]
    for name, what in (("1", "move of 1 member"), ("1k", "move of about 1,000"), ("100k", "move of about 100,000")):
        rows.append([f"{what}: ms, median / longest", *(moved(found["moves"], name) for found in writes)])
    return "### Writes\n\n" + table(columns, rows)


def moved(moves, name):
    if not moves or name not in moves:
        return "–"
    found = moves[name]
    return f"{precise(found['p50'])} / {precise(found['max'])} ({found['size']:,} members, {found['runs']} runs)"


# --- Targets -----------------------------------------------------------------------------------------------------------------------


def targets(runs):
    keys = [question.key for question in questions()]
    kept = [key for key in keys if ", kept|" in key]
    live = [key for key in keys if ", counted live|" in key]
    aggregates = [key for key in kept if "all" in key and not key.endswith("|1k")]
    alike = [key for key in keys if not (key in live and key.endswith("|giant"))]
    rows = [
        at_most("ancestors: p99 in the database", PAGES_MS, p99s(runs, ["ancestors, 3 hops|any", "ancestors, all|deep"]), "ms"),
        at_most("first page of referees: p99", PAGES_MS, p99s(runs, [key for key in keys if key.startswith("referees")]), "ms"),
        at_most("first page of descendants: p99", PAGES_MS, p99s(runs, [key for key in keys if key.startswith("descendants")]), "ms"),
        at_most("downline from kept sums, equal to the live ones: p99", PAGES_MS, p99s(runs, kept), "ms"),
        at_most("sums of degrees 1-3, live: p99", LIVE_MS, p99s(runs, [key for key in live if "1-3" in key]), "ms"),
        at_least("subtree aggregates against recursion", AGGREGATE_RATIO, against_recursion(runs, aggregates)),
        at_least("anything against recursion", 1, against_recursion(runs, keys)),
        at_most(
            f"cost from {millions(runs[0]['count'])} to {millions(runs[-1]['count'])}, equal answers", GROWTH,
            [(p50(runs[-1], key, "ours") / p50(runs[0], key, "ours"), key, runs[-1]) for key in alike if both(runs, key)], "x",
        ),
        at_most(
            "kept sums' share of the worker's time", UPKEEP * 100,
            [(found["kept_share"] * 100, name, run) for run in runs for name, found in run["writes"]["signups"].items()], "%",
        ),
    ]
    return "### Targets\n\n" + table(["target", "bound", "worst figure", "where", "holds"], [row for row in rows if row])


def both(runs, key):
    return len(runs) > 1 and p50(runs[0], key, "ours") and p50(runs[-1], key, "ours")


def p99s(runs, keys):
    return [(run["rows"][key]["ours"]["p99"], key, run) for run in runs for key in keys if "ours" in run["rows"][key]]


def against_recursion(runs, keys):
    """Where the recursion took longer than a minute, it is taken to have taken a minute."""
    found = []
    for run in runs:
        for key in keys:
            row = run["rows"][key]
            if "ours" in row:
                found.append((row["cte"].get("p50", 60_000) / row["ours"]["p50"], key, run))
    return found


def at_most(what, bound, found, unit):
    return verdict(what, f"≤ {bound:g} {unit}", max(found, default=None, key=lambda one: one[0]), lambda value: value <= bound, unit)


def at_least(what, bound, found):
    return verdict(what, f"≥ {bound:g}x", min(found, default=None, key=lambda one: one[0]), lambda value: value >= bound, "x")


def verdict(what, bound, worst, holds, unit):
    if worst is None:
        return None
    value, key, run = worst
    kind, _, asked_of = key.partition("|")
    where = f"{kind} {WHOSE.get(asked_of, '')}".strip()
    return [what, bound, f"{re.sub(' ?x$', 'x', f'{precise(value)} {unit}')}", f"{where}, {millions(run['count'])}", "yes" if holds(value) else "**no**"]
