"""Writes the figures of bench/faults/run between the two markers of docs/reliability.md."""

import datetime
import json
import os
import sys

BEGIN = "<!-- bench/faults writes from here -->"
END = "<!-- to here -->"

# Fault: what is done, and the figures of its own that are told beside the common ones.
FAULTS = {
    "F1": ("kill -9 of our processes", {"ready_ms_max": "ready after at most {} ms"}),
    "F2": ("kill -9 of all of PostgreSQL", {"healed_ms_max": "first acknowledgement at most {} ms after PostgreSQL was back"}),
    "F3": ("power cut on PostgreSQL's disk", {}),
    "F3 negative": ("the same with `synchronous_commit = off`: **must lose**", {}),
    "F4": (
        "kill -9 of Redis, then an outage, then a Redis that says nothing",
        {
            "outage_s": "outage of {} s",
            "ack_p50_p99_ms": "acknowledged (p50 / p99) in {} ms before",
            "killed_p50_p99_ms": "{} ms while it was killed",
            "away_p50_p99_ms": "{} ms while it was away",
            "mute_p50_p99_ms": "{} ms while it was mute",
            "alerts": "{} alerts followed without a gap",
            "caught_up_ms": "caught up after {} ms",
        },
    ),
    "F5": (
        "`FLUSHALL`, and a restart from an old file",
        {"rebuilt_ms_max": "stream whole again after at most {} ms", "alerts": "{} alerts followed without a gap or a repeat"},
    ),
    "F6": (
        "failover to a replica that lags",
        {"entries_behind": "replica {} entries behind", "rebuilt_ms": "stream whole again after {} ms", "alerts": "{} alerts followed"},
    ),
    "F7": ("disk full, then freed", {"database_starts": "PostgreSQL started {} times in all"}),
    "F8": (
        "each fsync 1.5 s longer",
        {
            "fast_p50_p99_ms": "acknowledged (p50 / p99) in {} ms before",
            "slow_p50_p99_ms": "{} ms while it was slow",
            "memory_mb_before": "memory {} MB before",
            "memory_mb_max": "{} MB at most",
        },
    ),
    "F9": (
        "connection cut at the COMMIT",
        {"answers_lost": "{} answers lost", "commits_lost": "{} commits lost", "rewards": "{} rewards by hand, each once", "sources_asked": "{} webhook sources asked for once each, without a key", "sources": "{} made", "sources_told": "{} told of"},
    ),
    "F10": ("worker stopped in a batch", {"stopped_s": "stopped for {} s", "taken_over_ms": "taken over after {} ms"}),
    "F13": ("one event, eight deliveries at once", {"rewards": "{} rewards", "expected": "for {} events"}),
    "F13b": ("two events at once for one referee", {"rewards": "{} rewards", "expected": "for {} referees"}),
    "F14": ("refund, purchase and click in any order", {"purchases": "{} purchases, all alike in the end"}),
    "F14b": ("release and void at the same moment", {"races": "{} races", "released_first": "release came first in {}"}),
    "F15": (
        "poison among the deliveries",
        {
            "quarantined": "{} kept with their reason",
            "ack_p50_p99_ms": "neighbours acknowledged (p50 / p99) in {} ms before",
            "poisoned_p50_p99_ms": "{} ms among the poison",
        },
    ),
    "F16": ("the whole inbox again, shuffled within causality, into an empty database", {"replays": "{} replays", "transfers": "{} transfers, one hash"}),
    "F17": (
        "connections ended under sixteen hands that move money at random",
        {
            "steps": "{} steps",
            "kills": "{} connections ended",
            "sums": "{} sums, each zero, no account overdrawn and no cap passed",
            "transfers": "{} transfers",
            "capped": "{} rewards denied by the cap",
        },
    ),
}


def number(value):
    if isinstance(value, list):
        return " / ".join(number(part) for part in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def row(figure):
    what, own = FAULTS[figure["fault"]]
    if "skipped" in figure:
        return [figure["fault"], what, "", "", "", "", "", "not tried: " + figure["skipped"]]
    told = [text.format(number(figure[name])) for name, text in own.items() if figure.get(name) is not None]
    common = [number(figure[name]) if name in figure else "" for name in ("rounds", "acknowledged", "per_second", "lost", "double")]
    if "refused" in figure:
        told.insert(0, f"{number(figure['refused'])} answered 503" + (f", {number(figure['unheard'])} unanswered" if "unheard" in figure else ""))
    return [figure["fault"], what, *common, "; ".join(told)]


def main(source, page, size):
    lines = [json.loads(line) for line in open(source)]
    figures = [line for line in lines if "fault" in line]
    figures.sort(key=lambda figure: list(FAULTS).index(figure["fault"]))
    runs = [line for line in lines if "module" in line]
    failed = [run["module"] for run in runs if run["status"] != "passed"]
    seconds = sum(run["seconds"] for run in runs)
    loads = sorted(float(run["load"]) for run in runs if run["load"] != "?")
    today = datetime.date.today().isoformat()
    out = [
        BEGIN,
        "",
        f"`bench/faults/run` ({size}), {today}, {seconds // 60} minutes on {os.cpu_count()} processors"
        + (f", load average {loads[0]:.1f} to {loads[-1]:.1f}" if loads else "")
        + ". "
        + ("Every test passed." if not failed else f"**Failed: {', '.join(failed)}.**"),
        "",
        "| | fault | rounds | acknowledged | a second | lost | double | and |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *("| " + " | ".join(row(figure)) + " |" for figure in figures),
        "",
        END,
    ]
    text = open(page).read()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    open(page, "w").write(before + "\n".join(out) + after)


main(*sys.argv[1:])
