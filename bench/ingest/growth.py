"""Whether a log that has grown costs more: the same load on a log of more and more events, spread over the days before."""

import time
from datetime import timedelta

from door import SENDERS, per_event

SECONDS, RATE = 15, 500
DAYS = 60
PER_DAY = 1_000_000
DAY = "create table if not exists events_{0:%Y%m%d} partition of events for values from ('{0:%Y-%m-%d} 00:00+00') to ('{1:%Y-%m-%d} 00:00+00')"
# Ten kinds of payload as the door made them; identifiers and keys as it would make them, a millisecond apart and hashed.
FILL = """
with kinds as materialized (
    select row_number() over () as kind, brand_id, source_id, shard, event_type, payload from (
        select * from events where state = 'ACCEPTED' and recorded_at >= date_trunc('day', now()) limit 10) e),
made as (
    select n, %(day)s::timestamptz + n * interval '1 day' / %(count)s as at,
        (lpad(to_hex((extract(epoch from %(day)s::timestamptz) * 1000)::int8 + n * 86400000 / %(count)s), 12, '0') || '7000'
            || '8' || substr(md5(n::text || %(day)s), 1, 15))::uuid as id
    from generate_series(0::int8, %(count)s - 1) n),
keys as (
    insert into event_keys (brand_id, source_id, key_hash, body_hash, event_id, recorded_at)
    select brand_id, source_id, decode(md5('k' || id::text), 'hex'), decode(md5('b' || id::text), 'hex'), id, at
    from made join kinds on kind = 1 + n %% 10)
insert into events (brand_id, id, source_id, shard, recorded_xid, event_type, state, occurred_at, recorded_at, payload)
select brand_id, id, source_id, shard, 3, event_type, 'ACCEPTED', at, at, payload from made join kinds on kind = 1 + n %% 10
"""


def measure(stand, sizes, tell):
    stand.work()
    stand.send(5, rate=200)
    stand.settle()
    days = stand.sql.execute("select date_trunc('day', now()) - n * interval '1 day' from generate_series(1, %s) n", [DAYS]).fetchall()
    found, filled = [], 0
    for size in sorted(sizes):
        while filled < size:
            [day] = days[filled // PER_DAY]
            count = min(PER_DAY, size - filled)
            stand.sql.execute(DAY.format(day, day + timedelta(days=1)))
            stand.sql.execute(FILL, {"day": day, "count": count})
            filled += count
        for command in ("vacuum (analyze) events", "vacuum (analyze) event_keys", "checkpoint"):
            stand.sql.execute(command)
        tell(f"the log has {filled:,} events")
        found.append(at_size(stand, size, tell))
    return found


def at_size(stand, size, tell):
    singles = stand.send(SECONDS, connections=SENDERS, clicks=True)
    stand.settle()
    before = stand.processor()
    began = time.perf_counter()
    sent = stand.send(SECONDS, rate=RATE, connections=64)
    stand.settle()
    found = {
        "events": size, "singles": singles, "seconds": time.perf_counter() - began,
        "cpu_us": per_event(before, stand.processor(), sent["events"]), "sent": sent,
    }
    tell(f"{size:,} events in the log: {singles['per_second']:.0f} singles a second, {found['cpu_us']}")
    return found
