"""From the acknowledgement to the credit and to the alert, what each stage costs, and whether it lasts."""

import threading
import time

from door import per_event
from stand import Alerts

RATES = (500, 2_000, 5_000)
SECONDS = 20
SUSTAINED = 10_000
ALPHABET = {letter: value for value, letter in enumerate("0123456789abcdefghjkmnpqrstvwxyz")}
# Both ends are commits, by PostgreSQL's own clock: the acknowledgement leaves right after the first.
CREDITED = """
select percentile_cont(array[0.5, 0.99, 1]) within group (order by ms), count(*) from (
    select extract(epoch from min(pg_xact_commit_timestamp(r.xmin)) - min(pg_xact_commit_timestamp(e.xmin))) * 1000 as ms
    from events e join attribution_records r on r.brand_id = e.brand_id and r.conversion_id = e.id and r.generation = 1
    where e.recorded_at between %s and %s and e.event_type = 'conversion' group by e.id) waits
"""
COMMITTED = "select extract(epoch from pg_xact_commit_timestamp(xmin))::float8 from events where id = %s::uuid"


def measure(stand, seconds, tell):
    stand.work()
    stand.send(5, rate=200)
    stand.settle()
    alerts = Alerts(stand)
    found = {"rates": [at_rate(stand, alerts, rate, tell) for rate in RATES]}
    found["statements"] = statements(stand)
    found["sustained"] = sustained(stand, seconds, tell)
    return found


def at_rate(stand, alerts, rate, tell):
    stand.sql.execute("select pg_stat_statements_reset()")
    alerts.arrived.clear()
    begin, before = stand.now(), stand.processor()
    sent = stand.send(SECONDS, rate=rate, connections=256)
    end, is_behind = stand.now(), stand.is_behind()
    began = time.perf_counter()
    stand.settle()
    behind = time.perf_counter() - began
    cpu_us = per_event(before, stand.processor(), sent["events"])
    waits, conversions = stand.sql.execute(CREDITED, [begin, end]).fetchone()
    p50, p99, longest = waits or (None, None, None)
    found = {
        "rate": rate, "sent": sent, "credited": {"p50": p50, "p99": p99, "max": longest, "count": conversions},
        "alerted": alerted(stand, alerts), "cpu_us": cpu_us, "behind_seconds": behind if is_behind else 0.0,
    }
    tell(f"{rate} a second: {found}")
    return found


def alerted(stand, alerts):
    """From the commit of what raised an alert to its arrival at a subscriber."""
    waits = []
    for subject, arrived in sorted(alerts.arrived.items(), key=lambda one: one[1]):
        row = stand.sql.execute(COMMITTED, [uuid_of(subject)]).fetchone()
        if row:
            waits.append((arrived - row[0]) * 1_000)
    waits.sort()
    at = lambda share: waits[min(len(waits) - 1, int(len(waits) * share))] if waits else None  # noqa: E731
    return {"p50": at(0.5), "p99": at(0.99), "max": at(1.0), "count": len(waits)}


def uuid_of(public_id):
    value = 0
    for letter in public_id.rsplit("_", 1)[1]:
        value = value << 5 | ALPHABET[letter]
    return f"{value:032x}"


def statements(stand):
    """What the pipeline's SQL spends its time on, at the last rate: share of all, calls, and the beginning of the text."""
    rows = stand.sql.execute(
        "select query, calls, total_exec_time, sum(total_exec_time) over () from pg_stat_statements order by total_exec_time desc limit 12"
    ).fetchall()
    return [{"text": " ".join(text.split())[:100], "calls": calls, "ms": ms, "share": ms / total} for text, calls, ms, total in rows]


def sustained(stand, seconds, tell):
    """Keeps the log full, and watches what the pipeline makes of it and how much memory it takes."""
    sender = stand.sending(seconds, rate=SUSTAINED, batch=100, connections=16)
    processed, memory, stop = [], [], threading.Event()
    begin, began = stand.processor(), time.perf_counter()
    sender_done = threading.Thread(target=lambda: (sender.wait(), stop.set()), daemon=True)
    sender_done.start()
    while not stop.wait(5):
        memory.append(stand.memory())
    sent = stand.finish(sender)
    left = stand.sql.execute(
        "select count(*) from events e join positions p on p.shard = e.shard and p.consumer = 'pipeline'"
        " where e.state = 'ACCEPTED' and (e.recorded_xid, e.seq) > (p.recorded_xid, p.seq)"
    ).fetchone()[0]
    elapsed = time.perf_counter() - began
    processed = sent["events"] - left
    found = {
        "seconds": elapsed, "sent": sent, "left": left, "per_second": processed / elapsed, "memory": memory,
        "cpu_us": per_event(begin, stand.processor(), processed),
    }
    tell(f"sustained: {found['per_second']:.0f} a second, {left} left, {memory[:1]} to {memory[-1:]}, {found['cpu_us']}")
    return found
