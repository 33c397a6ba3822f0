"""The part of the page of benchmarks that says what the way in costs."""

import time

import page
from page import millions, precise, table

SINGLES, ARRAYS, ACK_MS, CREDIT_MS, SUSTAINED, SLOPE = 10_000, 60_000, 50, 250, 10_000, 1.1
STAGES = ["door", "door's SQL", "pipeline", "pipeline's SQL", "PostgreSQL itself", "Redis"]


def write(found, loads, cpus, command):
    head = f"`{command}`, {time.strftime('%Y-%m-%d', time.gmtime())}. {page.loads(loads, cpus)}"
    door, pipeline, growth = found["door"], found["pipeline"], found["growth"]
    page.write("ingest", [head, targets(door, pipeline, growth), acknowledged(door), credited(pipeline), stages(door, pipeline), spent(pipeline), lasted(pipeline), grown(growth)])


def targets(door, pipeline, growth):
    at_2000 = next(one for one in pipeline["rates"] if one["rate"] == 2_000)
    sustained = pipeline["sustained"]
    memory = [sum(one.values()) for one in sustained["memory"]] or [0]
    slope = growth[0]["singles"]["per_second"] / growth[-1]["singles"]["per_second"]
    rows = [
        row("single events acknowledged a second", f"≥ {SINGLES:,}", door["single"]["per_second"], lambda value: value >= SINGLES),
        row("events in arrays of 100 acknowledged a second", f"≥ {ARRAYS:,}", door["array"]["per_second"], lambda value: value >= ARRAYS),
        row("acknowledgement at half of what is taken at most, single: p99", f"≤ {ACK_MS} ms", door["single, 1/2"]["p99_ms"], lambda value: value <= ACK_MS),
        row("acknowledgement at 5,000 single events a second: p99", f"≤ {ACK_MS} ms", door["half of the target"]["p99_ms"], lambda value: value <= ACK_MS),
        row("acknowledged to credited at 2,000 a second: p99", f"≤ {CREDIT_MS} ms", at_2000["credited"]["p99"], lambda value: value <= CREDIT_MS),
        row(f"mixed events a second that the pipeline sustains ({sustained['seconds']:.0f} s)", f"≥ {SUSTAINED:,}", sustained["per_second"], lambda value: value >= SUSTAINED),
        row("memory at the end against its middle", "≤ 1.1x", memory[-1] / memory[len(memory) // 2] if memory[0] else 1, lambda value: value <= SLOPE),
        row(f"singles a second, {millions(growth[0]['events'])} against {millions(growth[-1]['events'])} in the log", f"≤ {SLOPE}x", slope, lambda value: value <= SLOPE),
    ]
    return "### Targets\n\n" + table(["target", "bound", "figure", "holds"], rows)


def row(what, bound, value, holds):
    return [what, bound, "–" if value is None else precise(value), "yes" if value is not None and holds(value) else "**no**"]


def acknowledged(door):
    rows = []
    for name, label in (("single", "single posts"), ("array", "arrays of 100")):
        bare = door[f"bare {name}"]
        rows.append([f"a bare server that checks the signature, {label}", *cells(bare), "1"])
        rows.append([f"ours, {label}", *cells(door[name]), f"{bare['per_second'] / door[name]['per_second']:.1f}"])
        for share in (2, 4):
            part = door[f"{name}, 1/{share}"]
            rows.append([f"ours, {label}, {part['rate']:,} a second asked", *cells(part), ""])
    half = door["half of the target"]
    rows.append(["ours, single posts, 5,000 a second asked", *cells(half), ""])
    for clients, rate in door["inserts"].items():
        rows.append([f"bare inserts, groups of 256, {clients} at once", f"{rate:,.0f}", "", "", ""])
    return "### Acknowledged\n\n" + table(["what", "events a second", "p50 ms", "p99 ms", "bare ÷ ours"], rows)


def cells(sent):
    return [f"{sent['per_second']:,.0f}", precise(sent["p50_ms"]), precise(sent["p99_ms"])]


def credited(pipeline):
    rows = []
    for one in pipeline["rates"]:
        rows.append([
            f"{one['rate']:,}", f"{one['sent']['per_second']:,.0f}", precise(one["sent"]["p99_ms"]), *waits(one["credited"]), *waits(one["alerted"]),
            f"{one['behind_seconds']:.1f}",
        ])
    columns = ["asked a second", "taken a second", "acknowledged p99", "credited p50", "p99", "alert at the subscriber p50", "p99", "s to catch up after"]
    return "### From the acknowledgement to the credit and to the alert: milliseconds\n\n" + table(columns, rows)


def waits(found):
    return [precise(found[name]) if found[name] is not None else "–" for name in ("p50", "p99")]


def stages(door, pipeline):
    rows = []
    runs = [("singles alone, no pipeline", door["single"]), ("arrays alone, no pipeline", door["array"])]
    runs += [(f"mixed, {one['rate']:,} a second", one) for one in pipeline["rates"]] + [("mixed, arrays, sustained", pipeline["sustained"])]
    for name, one in runs:
        rows.append([name, *(f"{one['cpu_us'][stage]:,.0f}" for stage in STAGES), f"{sum(one['cpu_us'][stage] for stage in STAGES):,.0f}"])
    return "### Processor time per event, by stage: microseconds\n\n" + table(["load", *STAGES, "all"], rows)


def spent(pipeline):
    rows = [[f"`{one['text'][:90].replace('|', '/')}`", f"{one['calls']:,}", f"{one['ms'] / one['calls']:.2f}", f"{one['share']:.0%}"] for one in pipeline["statements"]]
    return "### Where PostgreSQL's time goes, at the last rate\n\n" + table(["statement", "calls", "ms each", "of all"], rows)


def lasted(pipeline):
    found = pipeline["sustained"]
    memory = [f"{name} {found['memory'][0][name]:.0f} → {found['memory'][-1][name]:.0f} MB" for name in found["memory"][0]]
    return (
        f"### Sustained\n\n10,000 mixed events a second asked for {found['seconds']:.0f} s in arrays of 100: {found['sent']['per_second']:,.0f} a second acknowledged, "
        f"{found['per_second']:,.0f} a second worked on, {found['left']:,} left at the end. Memory: {', '.join(memory)}."
    )


def grown(growth):
    rows = [
        [millions(one["events"]), f"{one['singles']['per_second']:,.0f}", precise(one["singles"]["p99_ms"]),
         *(f"{one['cpu_us'][stage]:,.0f}" for stage in STAGES)]
        for one in growth
    ]
    return "### A log that grows\n\n" + table(["events in the log", "singles a second", "p99 ms", *(f"{stage}, µs" for stage in STAGES)], rows)
