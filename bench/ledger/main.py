"""The benchmark of the ledger. Start it with `bench/ledger/run`."""

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import page
from page import load_average, precise, table
from servers import Grapevine, Postgres, Redis, stop, wait_until

ROOT = Path(__file__).resolve().parents[2]
BRAND = "01940000-0000-7000-8000-000000000001"
PER_SECOND, APPROVAL_SECONDS = 5_000, 2
EVENTS_PER_REQUEST = 500
# Everybody is invited by the last of three, who were invited by each other: an activation pays all three, and the referee.
LINE = ("top", "middle", "hub")
REWARDS_EACH = 4
CAMPAIGN = (
    "mutation { createCampaign(input: { slug: \"bench\", name: \"Bench\", objective: CONVERSION,"
    " budget: { amount: \"10000000.00\", currency: \"USD\" },"
    # So many referees of one member would be looked into.
    " fraud: { referralsPerWindow: 1000000, velocityPerHour: 1000000 }, reward: { kind: CREDIT, escrowDays: 0,"
    " refereeReward: { amount: \"0.50\", currency: \"USD\" }, tiers: ["
    + ", ".join(f"{{ degree: {degree}, amount: {{ amount: \"{4 - degree}.00\", currency: \"USD\" }} }}" for degree in (1, 2, 3))
    + "] } }) { userErrors { message } } }"
)
ONE_MAY = "mutation { updateBrand(input: { payoutFourEyesAbove: { amount: \"1000000.00\", currency: \"USD\" } }) { userErrors { message } } }"
INGEST = "mutation($events: [EventInput!]!) { ingestEvents(input: { events: $events }) { results { status reason } userErrors { message } } }"
MEMBER = "query($id: String!) { member(externalId: $id) { id } }"
CREATE = (
    "mutation($id: ID!) { createPayout(input: { memberId: $id, currency: \"USD\", idempotencyKey: \"bench\" })"
    " { payout { id amount { amount } } userErrors { message } } }"
)
APPROVE = "mutation($id: ID!) { approvePayout(input: { payoutId: $id }) { payout { state } userErrors { message } } }"
# What granting and releasing rewards writes, and nothing else: the rows with all their indexes, and the totals of a budget and of beneficiaries.
RAW_TABLES = (
    "create table raw_rewards (like rewards including all)", "create table raw_transfers (like ledger_transfers including all)",
    "create table raw_accounts (like ledger_accounts including all)",
    "insert into raw_accounts select brand_id, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, bucket, owner_kind, gen_random_uuid(),"
    " currency, 0, 0, false, now() from (select * from ledger_accounts where bucket = 'budget' limit 1) a, generate_series(0, 2000) n",
)
GROUP = 1_000
RAW_GROUP = f"""
begin;
update raw_accounts set debit_minor = debit_minor + {GROUP} where id = '00000000-0000-7000-8000-000000000000';
with made as materialized (
    select n, gen_random_uuid() as id, ('00000000-0000-7000-8000-' || lpad(to_hex(1 + n % 1000), 12, '0'))::uuid as escrow,
        ('00000000-0000-7000-8000-' || lpad(to_hex(1001 + n % 1000), 12, '0'))::uuid as payable
    from generate_series(1, {GROUP}) n),
granted as (
    insert into raw_rewards (brand_id, id, idempotency_key, campaign_id, policy_version, kind, beneficiary_member_id, referee_id, degree, amount_minor,
                             currency, state, triggered_at)
    select '{BRAND}', id, id::text, '{BRAND}', 1, 'CREDIT', escrow, id, 1, 100, 'USD', 'AVAILABLE', now() from made),
posted as (
    insert into raw_transfers (brand_id, id, debit_account_id, credit_account_id, amount_minor, currency, kind, reward_id, campaign_id, posted_at)
    select '{BRAND}', gen_random_uuid(), debit, credit, 100, 'USD', kind, id, '{BRAND}', now()
    from made cross join lateral (values ('00000000-0000-7000-8000-000000000000'::uuid, escrow, 'GRANT'), (escrow, payable, 'RELEASE')) t (debit, credit, kind))
update raw_accounts a set credit_minor = a.credit_minor + 100, debit_minor = a.debit_minor + 100 from made where a.id in (made.escrow, made.payable);
commit;
"""


class Stand:
    """Servers and a brand, while the `with` lasts."""

    def __init__(self, binary, folder):
        self.folder = folder
        self.postgres, self.redis = Postgres(folder, fsync="on", synchronous_commit="on"), Redis(folder)
        self.grapevine = Grapevine(binary, folder, self.postgres.url, self.redis.url)
        self.worker = None

    def __enter__(self):
        try:
            self.grapevine.run("migrate")
            self.sql = self.postgres.connect()
            self.sql.execute("insert into brands values (%s, 'default', 'Benchmark', 'USD', 0, false, now())", [BRAND])
            for counter in ("members", "outbox", "outbox_published"):
                self.sql.execute("insert into brand_counters values (%s, %s, 0)", [BRAND, counter])
            self.grapevine.serve()
            for document in (CAMPAIGN, ONE_MAY):
                self.ask(document)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop_work()
        self.grapevine.stop()
        stop(self.redis.process)
        self.postgres.stop()

    def ask(self, document, **variables):
        data = self.grapevine.client.ask(document, **variables)
        errors = [error["message"] for payload in data.values() for error in (payload or {}).get("userErrors", ())]
        if errors:
            raise RuntimeError(f"{document[:60]}: {errors}")
        return data

    def send(self, events):
        for low in range(0, len(events), EVENTS_PER_REQUEST):
            results = self.ask(INGEST, events=events[low : low + EVENTS_PER_REQUEST])["ingestEvents"]["results"]
            if any(result["status"] != "QUEUED" for result in results):
                raise RuntimeError(f"the events: {results[0]}")

    def stop_work(self):
        if self.worker:
            stop(self.worker)
            self.worker = None

    def work_off(self):
        """The seconds from the worker's start until nothing is left to work on."""
        began = time.perf_counter()
        self.worker = self.grapevine.work()
        wait_until(lambda: not self._is_behind(), "the end of the work", 1_800)
        spent = time.perf_counter() - began
        self.stop_work()
        return spent

    def _is_behind(self):
        # Before the worker has begun for the first time it has no positions.
        return self.sql.execute(
            "select not exists (select from positions where consumer = 'pipeline')"
            " or exists (select from positions p cross join lateral (select from events e where e.shard = p.shard and e.state = 'ACCEPTED'"
            " and (e.recorded_xid, e.seq) > (p.recorded_xid, p.seq) limit 1) e where p.consumer = 'pipeline')"
        ).fetchone()[0]


def moment(seconds_ago):
    return (datetime.now(timezone.utc) - timedelta(seconds=seconds_ago)).isoformat()


def measure(stand, referees, tell):
    inviters = dict(zip(LINE[1:], LINE))
    people = list(LINE) + [f"referee-{number}" for number in range(referees)]
    stand.send([
        {"eventId": f"join-{name}", "eventType": "signup", "userId": name, "campaign": "bench", "timestamp": moment(7_200)}
        | ({} if name == LINE[0] else {"referrerUserId": inviters.get(name, LINE[-1])})
        for name in people
    ])
    stand.work_off()
    stand.sql.execute("vacuum analyze")
    stand.send([
        {"eventId": f"act-{name}", "eventType": "activation", "userId": name, "campaign": "bench", "timestamp": moment(3_600)} for name in people[len(LINE) :]
    ])
    tell(f"{referees:,} activations wait")
    seconds = stand.work_off()
    [[granted]] = stand.sql.execute("select count(*) from rewards where state = 'AVAILABLE'").fetchall()
    if granted != referees * REWARDS_EACH:
        raise RuntimeError(f"{granted} rewards are available, and not {referees * REWARDS_EACH}")
    found = {"rewards": granted, "seconds": seconds, "per_second": granted / seconds}
    tell(f"rewards: {found}")
    hub = stand.ask(MEMBER, id=LINE[-1])["member"]["id"]
    found["create"], payout = timed(lambda: stand.ask(CREATE, id=hub)["createPayout"]["payout"])
    found["approve"], approved = timed(lambda: stand.ask(APPROVE, id=payout["id"])["approvePayout"]["payout"])
    if approved["state"] != "APPROVED" or payout["amount"]["amount"] != f"{referees * 3}.00":
        raise RuntimeError(f"the payout: {payout}, {approved}")
    found["lines"] = referees
    tell(f"a payout of {referees:,} lines: drafted in {found['create']:.2f} s, approved in {found['approve']:.2f} s")
    findings = json.loads(stand.grapevine.run("verify", "--json"))["findings"]
    broken = [finding for finding in findings if finding["breach_count"]]
    if broken:
        raise RuntimeError(f"verify: {broken}")
    found["bare"] = bare(stand)
    tell(f"bare inserts and updates: {found['bare']:.0f} rewards a second")
    return found


def timed(work):
    began = time.perf_counter()
    answer = work()
    return time.perf_counter() - began, answer


def bare(stand):
    for command in RAW_TABLES:
        stand.sql.execute(command)
    script = stand.folder / "group.sql"
    script.write_text(RAW_GROUP, encoding="utf-8")
    options = ["-n", "-M", "simple", "-c", 1, "-j", 1, "-T", 10, "-f", script, "-h", "127.0.0.1", "-p", stand.postgres.port, "-U", "grapevine", "grapevine"]
    done = subprocess.run([str(part) for part in ["pgbench", *options]], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pgbench: {done.stderr}")
    return float(re.search(r"tps = ([0-9.]+)", done.stdout)[1]) * GROUP


def write(found, loads, referees):
    head = f"`bench/ledger/run {referees}`, {time.strftime('%Y-%m-%d', time.gmtime())}. {page.loads(loads, os.cpu_count())}"
    lines = f"a payout of {found['lines']:,} lines"
    targets = [
        ["rewards granted and released a second, one budget", f"≥ {PER_SECOND:,}", precise(found["per_second"]), holds(found["per_second"] >= PER_SECOND)],
        [f"{lines}: approval", f"≤ {APPROVAL_SECONDS} s", f"{precise(found['approve'])} s", holds(found["approve"] <= APPROVAL_SECONDS)],
    ]
    costs = [
        [f"{found['rewards']:,} rewards of {referees:,} activations, all of the pipeline", f"{precise(found['seconds'])} s", precise(found["per_second"])],
        [f"bare inserts and updates, groups of {GROUP:,}", "", precise(found["bare"])],
        [f"{lines}: drafted", f"{precise(found['create'])} s", ""],
        [f"{lines}: approved", f"{precise(found['approve'])} s", ""],
    ]
    page.write("ledger", [
        head, "### Targets\n\n" + table(["target", "bound", "figure", "holds"], targets), "### Costs\n\n" + table(["what", "takes", "rewards a second"], costs),
    ])


def holds(is_held):
    return "yes" if is_held else "**no**"


def main():
    parser = argparse.ArgumentParser(prog="bench/ledger/run", description=__doc__)
    parser.add_argument("referees", nargs="?", type=int, default=10_000, help="members whose activation pays, at most 10000 [10000]")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave docs/benchmarks.md as it is")
    parser.add_argument("--binary", type=Path, required=True, help="the grapevine of a release build; bench/ledger/run builds it")
    arguments = parser.parse_args()
    began = time.perf_counter()

    def tell(text):
        print(f"{time.perf_counter() - began:7.1f} s  {text}", flush=True)

    (ROOT / "data").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-ledger-", dir=ROOT / "data"))
    loads = [load_average()]
    try:
        with Stand(arguments.binary, folder) as stand:
            found = measure(stand, arguments.referees, tell)
    finally:
        shutil.rmtree(folder)
    loads.append(load_average())
    if arguments.write:
        write(found, loads, arguments.referees)
        tell("docs/benchmarks.md is written")


if __name__ == "__main__":
    main()
