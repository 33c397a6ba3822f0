"""How many signed events are acknowledged, next to what HTTP and the signature cost alone, and to grouped inserts without us."""

import re
import subprocess

SECONDS = 10
ARRAY = 100
GROUP = 256
# Each waits for the disk before it posts again: so many fill the groups that are on their way.
SENDERS = 512
# The log's table and its keys, with their indexes, as a database without us would be asked to fill them.
RAW_TABLES = (
    "create table raw_events (like events including all)", "create sequence raw_seq",
    "alter table raw_events alter column seq set default nextval('raw_seq')", "create table raw_keys (like event_keys including all)",
)
# One group of the size that ours has at most: keys, then events, with a payload of the size of a click's.
RAW_GROUP = f"""
begin;
with made as (select gen_random_uuid() as id, sha256(convert_to(gen_random_uuid()::text, 'UTF8')) as hash from generate_series(1, {GROUP}) order by 2),
keys as (
    insert into raw_keys select '01940000-0000-7000-8000-000000000001', '01940000-0000-7000-8000-000000000002', substr(hash, 1, 16),
        substr(hash, 17, 16), id, now() from made)
insert into raw_events (brand_id, id, source_id, shard, event_type, state, occurred_at, recorded_at, payload)
select '01940000-0000-7000-8000-000000000001', id, '01940000-0000-7000-8000-000000000002', 1, 'click', 'ACCEPTED', now(), now(), '@payload@'
from made;
commit;
"""


def measure(stand, tell):
    found = {}
    bare = (stand.serve_bare(), "/")
    for name, batch, connections in (("single", 1, SENDERS), ("array", ARRAY, 16)):
        found[f"bare {name}"] = stand.send(SECONDS, batch=batch, connections=connections, clicks=True, to=bare)
        # The first seconds fill the pool and the caches; they are not counted.
        stand.send(3, batch=batch, connections=connections, clicks=True)
        before = stand.processor()
        found[name] = stand.send(SECONDS, batch=batch, connections=connections, clicks=True)
        found[name]["cpu_us"] = per_event(before, stand.processor(), found[name]["events"])
        tell(f"{name}: {found[name]}, bare {found[f'bare {name}']['per_second']:.0f}")
        for share in (4, 2):
            rate = int(found[name]["per_second"] / share)
            key = f"{name}, 1/{share}"
            found[key] = stand.send(SECONDS, rate=rate, batch=batch, connections=connections * 2, clicks=True) | {"rate": rate}
            tell(f"{key} load: {found[key]}")
    found["half of the target"] = stand.send(SECONDS, rate=5_000, connections=SENDERS, clicks=True) | {"rate": 5_000}
    tell(f"5,000 single events a second: {found['half of the target']}")
    found["inserts"] = inserts(stand)
    tell(f"bare grouped inserts: {found['inserts']}")
    return found


def per_event(before, after, events):
    return {name: (after[name] - used) * 1e6 / max(events, 1) for name, used in before.items()}


def inserts(stand):
    """Rows per second of pgbench, by how many groups are on their way at once."""
    payload = stand.sql.execute("select payload::text from events where event_type = 'click' limit 1").fetchone()[0]
    for command in RAW_TABLES:
        stand.sql.execute(command)
    script = stand.folder / "group.sql"
    script.write_text(RAW_GROUP.replace("@payload@", payload), encoding="utf-8")
    found = {}
    for clients in (1, 3):
        options = ["-n", "-M", "simple", "-c", clients, "-j", 1, "-T", SECONDS, "-f", script]
        where = ["-h", "127.0.0.1", "-p", stand.postgres.port, "-U", "grapevine", "grapevine"]
        done = subprocess.run([str(part) for part in ["pgbench", *options, *where]], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"pgbench: {done.stderr}")
        found[clients] = float(re.search(r"tps = ([0-9.]+)", done.stdout)[1]) * GROUP
    return found
