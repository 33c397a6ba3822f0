"""A brand with creators and a campaign, people who click and buy, and what is asked about them."""

import http.client
import json
import time
from datetime import datetime, timedelta, timezone

from servers import Grapevine, Postgres, Redis, stop

BRAND = "01940000-0000-7000-8000-000000000001"
CREATORS = 50
SALES_PER_REQUEST = 400
CAMPAIGN = (
    "mutation { createCampaign(input: { slug: \"bench\", name: \"Bench\", objective: CONVERSION, attribution: { model: LINEAR } })"
    " { campaign { id } userErrors { message } } }"
)
INGEST = "mutation($events: [EventInput!]!) { ingestEvents(input: { events: $events }) { results { status reason } userErrors { message } } }"
REPORT = """query($input: AttributionReportInput!) { attributionReport(input: $input) {
    conversions value { amount } unattributed { value { amount } } rows { key results { conversions value { amount } } } } }"""
TRIAL = """subscription($input: SimulateAttributionPolicyInput!) { attributionSimulation(input: $input) { done total result {
    conversions value { amount } rows { change { after { value { amount } } } } unattributed { after { value { amount } } } } } }"""
# Two weeks are longer than any window here, and the report's limit of conversions is asked for by day.
NOW = datetime.now(timezone.utc).replace(microsecond=0)


def moment(seconds_ago):
    return (NOW - timedelta(seconds=seconds_ago)).isoformat()


def cents(money):
    return int(money["amount"].replace(".", ""))


class Stand:
    """All of it, running, while the `with` lasts."""

    def __init__(self, binary, folder):
        self.folder = folder
        self.postgres, self.redis = Postgres(folder, max_wal_size="8GB"), Redis(folder)
        self.grapevine = Grapevine(binary, folder, self.postgres.url, self.redis.url)

    def __enter__(self):
        try:
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _prepare(self):
        self.grapevine.run("migrate")
        self.sql = self.postgres.connect()
        self.sql.execute("insert into brands values (%s, 'default', 'Benchmark', 'USD', 0, false, now())", [BRAND])
        for counter in ("members", "outbox", "outbox_published"):
            self.sql.execute("insert into brand_counters values (%s, %s, 0)", [BRAND, counter])
        self.grapevine.serve()
        self.campaign = self.grapevine.client.ask(CAMPAIGN)["createCampaign"]["campaign"]["id"]
        for low in range(0, CREATORS, 25):
            made = (f'c{at}: createCreator(input: {{ handle: "creator-{at}" }}) {{ userErrors {{ message }} }}' for at in range(low, low + 25))
            self.grapevine.client.ask(f"mutation {{ {' '.join(made)} }}")

    def __exit__(self, *_):
        self.grapevine.stop()
        stop(self.redis.process)
        self.postgres.stop()

    # --- What happens -------------------------------------------------------------------------------------------------------

    def clicks(self, people, touches):
        """People who click so often, days ago, through an import: it works while it reads."""
        path = self.folder / f"clicks-{touches}.ndjson"
        with open(path, "w", encoding="utf-8") as lines:
            for person in range(people):
                for touch in range(touches):
                    lines.write(json.dumps({
                        "event_id": f"click-{touches}-{person}-{touch}", "event_type": "click", "user_id": f"person-{touches}-{person}",
                        "creator_id": f"creator-{(person + touch * 7) % CREATORS}", "campaign": "bench", "timestamp": moment(400_000 - touch * 60),
                    }) + "\n")
        summary = json.loads(self.grapevine.run("import", "events", str(path), "--json"))
        if summary["imported"] != people * touches:
            raise RuntimeError(f"the clicks: {summary}")

    def sales(self, people, touches):
        """One sale of each person, acknowledged and not worked on. Each number of touches has a day of its own."""
        day = 86_400 * (1 + (1, 10, 100).index(touches))
        for low in range(0, people, SALES_PER_REQUEST):
            events = [{
                "eventId": f"sale-{touches}-{person}", "eventType": "conversion", "userId": f"person-{touches}-{person}",
                "orderId": f"order-{touches}-{person}", "conversionValue": "19.99", "campaign": "bench", "timestamp": moment(day - person % 80_000),
            } for person in range(low, min(low + SALES_PER_REQUEST, people))]
            results = self.grapevine.client.ask(INGEST, events=events)["ingestEvents"]["results"]
            if any(result["status"] != "QUEUED" for result in results):
                raise RuntimeError(f"the sales: {results[0]}")

    def work_off(self):
        """The seconds from the worker's start until nothing is left to work on."""
        began = time.perf_counter()
        worker = self.grapevine.work()
        try:
            while self._is_behind():
                time.sleep(0.02)
            return time.perf_counter() - began
        finally:
            stop(worker)

    def _is_behind(self):
        return self.sql.execute(
            "select exists (select from positions p cross join lateral (select from events e where e.shard = p.shard and e.state = 'ACCEPTED'"
            " and (e.recorded_xid, e.seq) > (p.recorded_xid, p.seq) limit 1) e where p.consumer = 'pipeline')"
        ).fetchone()[0]

    def records(self):
        return self.sql.execute("select count(*) from attribution_records where superseded_at is null").fetchone()[0]

    def keep(self):
        """The seconds until the worker has kept the sums of all hours, with those in which it waits for them to be quiet."""
        began = time.perf_counter()
        worker = self.grapevine.work()
        try:
            while self.sql.execute("select exists (select from report_marks)").fetchone()[0]:
                time.sleep(0.2)
            return time.perf_counter() - began
        finally:
            stop(worker)

    # --- What is asked ------------------------------------------------------------------------------------------------------

    def report_anew(self, models):
        """The milliseconds of a report over all sales of the day of a hundred touches, judged again since the question names a window: the policy's own."""
        return self._report(models, moment(86_400 * 3 + 1), moment(86_400 * 2 + 1), lookbackHours=24 * 7)

    def report_kept(self, models):
        """The milliseconds of a report over whole days, which hold all sales."""
        today = NOW.replace(hour=0, minute=0, second=0)
        return self._report(models, (today - timedelta(days=5)).isoformat(), (today + timedelta(days=1)).isoformat())

    def _report(self, models, start, end, **overrides):
        """By creator; its sums are checked."""
        asked = {"groupBy": "CREATOR", "models": models, "from": start, "to": end, **overrides}
        request = self.grapevine.client.request(REPORT, {"input": asked})
        began = time.perf_counter()
        answer = json.loads(self.grapevine.client.send(request))
        spent = (time.perf_counter() - began) * 1_000
        if answer.get("errors"):
            raise RuntimeError(answer["errors"][0]["message"])
        found = answer["data"]["attributionReport"]
        credited = sum(cents(row["results"][0]["value"]) for row in found["rows"])
        if credited + cents(found["unattributed"][0]["value"]) != cents(found["value"]):
            raise RuntimeError("the report does not add up")
        return spent

    def trial(self):
        """A drafted policy tried on all sales, as a subscriber over server-sent events sees it."""
        draft = {"campaignId": self.campaign, "attribution": {"model": "TIME_DECAY"}, "from": moment(86_400 * 10), "to": moment(0)}
        client = self.grapevine.client
        key = client.head.split("Bearer ")[1].split("\r\n")[0]
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Accept": "text/event-stream"}
        connection = http.client.HTTPConnection("127.0.0.1", client.port)
        began, steps = time.perf_counter(), 0
        connection.request("POST", "/graphql", json.dumps({"query": TRIAL, "variables": {"input": draft}}), headers)
        answer = connection.getresponse()
        while line := answer.readline():
            if not line.startswith(b"data:") or b"attributionSimulation" not in line:
                continue
            step, steps = json.loads(line[5:])["data"]["attributionSimulation"], steps + 1
            if found := step["result"]:
                break
        else:
            raise RuntimeError("the trial ended without a result")
        seconds = time.perf_counter() - began
        connection.close()
        after = sum(cents(row["change"]["after"]["value"]) for row in found["rows"]) + cents(found["unattributed"]["after"]["value"])
        if after != cents(found["value"]):
            raise RuntimeError("the trial does not add up")
        return {"conversions": found["conversions"], "seconds": seconds, "steps": steps, "megabytes": self._megabytes()}

    def _megabytes(self):
        with open(f"/proc/{self.grapevine.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) / 1_024 for line in status if line.startswith("VmRSS"))
