"""What changes the forest: sign-ups under one referrer and under many, moves of subtrees, and an import."""

import csv
import random
import re
import time

from load import BRAND, moments, root_of
from measure import wall_ms
from questions import DEGREES, EVERYTHING, member_id
from servers import Refused, stop, wait_until

EVENTS, EVENTS_PER_REQUEST = 20_000, 1_000
MOVES = {"1": 1, "1k": 1_000, "100k": 100_000}
MOVE_PAIRS = {"1": 10, "1k": 5, "100k": 1}
KEPT = re.compile(r"member_downlines|member_activity_days")
INGEST = "mutation ($events: [EventInput!]!) { ingestEvents(input: { events: $events }) { results { status } userErrors { message } } }"
MOVE = (
    "mutation ($id: ID!, $to: ID, $key: String!) { moveMember(input:"
    " { memberId: $id, newReferrerId: $to, reason: \"benchmark\", idempotencyKey: $key }) { userErrors { code message } } }"
)


def signups(bench, grapevine, forest):
    """Events per second from the first request to the last member, and the share of the worker's time that kept sums take."""
    deep = bench.samples["deep"][0]
    some = bench.samples["any"]
    hot = event_run(bench, grapevine, "hot", lambda _: deep)
    return {
        "hot": hot | {"depth": int(forest.depth[deep]) + 1},
        "spread": event_run(bench, grapevine, "spread", lambda at: some[at % len(some)]),
    }


def event_run(bench, grapevine, name, referrer_of):
    """Half of the events with the statements logged, for the share of the kept sums; half without, for the rate."""
    half = EVENTS // 2
    with bench.postgres.logging(with_parameters=False):
        start_at = bench.postgres.position()
        seconds = run_events(bench, grapevine, f"{name}-logged", half, referrer_of)
        statements = bench.postgres.statements(start_at)
    kept_ms = sum(statement.ms for statement in statements if KEPT.search(statement.text))
    rate = half / run_events(bench, grapevine, name, half, referrer_of)
    bench.tell(f"sign-ups, {name}: {rate:.0f} per second, kept sums {kept_ms / seconds / 10:.1f} %")
    return {"per_second": rate, "kept_share": kept_ms / 1_000 / seconds}


def run_events(bench, grapevine, name, count, referrer_of):
    worker = grapevine.work()
    try:
        # The first event tells that the worker is up.
        send(bench, [event(f"{name}-first", 0, referrer_of)])
        wait_until(lambda: members_of(bench, f"{name}-first") == 1, "the worker")
        started = time.perf_counter()
        for low in range(0, count, EVENTS_PER_REQUEST):
            send(bench, [event(name, at, referrer_of) for at in range(low, low + EVENTS_PER_REQUEST)])
        wait_until(lambda: members_of(bench, f"{name}-{count - 1}") == 1, "the last sign-up", 300)
        return time.perf_counter() - started
    finally:
        stop(worker)


def event(name, at, referrer_of):
    user = name if name.endswith("first") else f"{name}-{at}"
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return {
        "eventType": "signup", "eventId": user, "timestamp": now, "userId": user, "referrerUserId": f"m{referrer_of(at) + 1}",
    }


def send(bench, events):
    answer = bench.client.ask(INGEST, events=events)["ingestEvents"]
    refused = [result for result in answer["results"] if result["status"] != "QUEUED"] + answer["userErrors"]
    if refused:
        raise RuntimeError(f"events were refused: {refused[:3]}")


def members_of(bench, external_id):
    text = "select count(*) from members where brand_id = %s and external_id = %s and signed_up_at is not null"
    return bench.sql.execute(text, [BRAND, external_id]).fetchone()[0]


def moves(bench, forest):
    """Milliseconds of `moveMember`, there and back, by the size of what is moved; None where the API has no such mutation."""
    fields = bench.client.ask('{ __type(name: "Mutation") { fields { name } } }')["__type"]["fields"]
    if {"name": "moveMember"} not in fields:
        return None
    chance, found = random.Random(1), {}
    for name, size in MOVES.items():
        movable = [
            member for member in (bench.samples["any"] if name == "1" else bench.samples[name])
            if forest.parent[member] >= 0 and (name != "1" or forest.referee_count[member] == 0)
        ]
        if not movable:
            continue
        times = []
        for turn in range(MOVE_PAIRS[name]):
            member = chance.choice(movable)
            own_root = root_of(forest, member)
            home = int(forest.parent[member])
            away = next(other for other in bench.samples["1k"] if root_of(forest, other) != own_root)
            for referrer, way in ((away, "away"), (home, "home")):
                times.append(wall_ms(lambda: move(bench, member, referrer, f"{name}-{turn}-{way}")))
                if turn == 0:
                    check_sums(bench, referrer)
        found[name] = {"p50": sorted(times)[len(times) // 2], "max": max(times), "size": int(forest.size[member]) + 1, "runs": len(times)}
        bench.tell(f"moves of {size}: {found[name]}")
    return found


def move(bench, member, referrer, key):
    names = bench.names
    errors = bench.client.ask(MOVE, id=member_id(names, member), to=member_id(names, referrer), key=key)["moveMember"]["userErrors"]
    if errors:
        raise RuntimeError(f"the move was refused: {errors}")


def check_sums(bench, member):
    """The kept sums equal the live ones after a move."""
    document = f'query ($id: ID!) {{ member(id: $id) {{ kept: downline {DEGREES} live: downline(since: "{EVERYTHING}") {DEGREES} }} }}'
    try:
        found = bench.client.ask(document, id=member_id(bench.names, member))["member"]
    except Refused as refusal:
        # What stands below is more than can be counted live within the deadline of a statement.
        bench.tell(f"the sums of {member} are not checked: {refusal}")
        return
    if found["kept"] != found["live"]:
        raise AssertionError(f"kept sums of {member} differ from the live ones after a move")


def imports(bench, grapevine, forest, rows):
    """Rows per second of `grapevine import members` into a brand of its own, children before parents as they come."""
    brand = "01940000-0000-7000-8000-000000000002"
    bench.sql.execute("insert into brands values (%s, 'import', 'Import', 'USD', 1, false, now())", [brand])
    for counter in ("members", "outbox", "outbox_published"):
        bench.sql.execute("insert into brand_counters values (%s, %s, 0)", [brand, counter])
    file = bench.folder / "members.csv"
    order = list(range(rows))
    random.Random(1).shuffle(order)
    joined = moments(forest.joined_us[:rows])
    with open(file, "w", encoding="utf-8", newline="") as output:
        writer = csv.writer(output)
        writer.writerow(["external_id", "referrer_external_id", "joined_at"])
        for at in order:
            parent = forest.parent[at]
            writer.writerow([f"i{at}", f"i{parent}" if parent >= 0 else "", f"{joined[at]}Z"])
    seconds = wall_ms(lambda: grapevine.run("import", "members", str(file), "--brand", "import", "--json")) / 1_000
    imported = bench.sql.execute("select count(*) from members where brand_id = %s", [brand]).fetchone()[0]
    if imported != rows:
        raise AssertionError(f"{imported} of {rows} rows were imported")
    bench.tell(f"import: {rows} rows in {seconds:.1f} s")
    return {"rows": rows, "per_second": rows / seconds}
