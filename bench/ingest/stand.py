"""Servers, a brand with a campaign and creators, a source, and what each process has used of the processors."""

import http.client
import json
import os
import subprocess
import threading
import time

from servers import Grapevine, Postgres, Redis, free_port, start, stop, wait_until

BRAND = "01940000-0000-7000-8000-000000000001"
CREATORS = 100
STEPS = 8  # of a person's story: so many people begin in a second
TICKS = os.sysconf("SC_CLK_TCK")
SOURCE = "mutation { createWebhookSource(input: { name: \"bench\" }) { source { url } secret userErrors { message } } }"
CAMPAIGN = (
    "mutation { createCampaign(input: { slug: \"bench\", name: \"Bench\", objective: CONVERSION, destinationUrl: \"https://example.com/\","
    " budget: { amount: \"1000000000.00\", currency: \"USD\" }, attribution: { model: LINEAR }, reward: { kind: CREDIT, escrowDays: 0,"
    " tiers: [{ degree: 1, amount: { amount: \"5.00\", currency: \"USD\" }, shareOfConversion: 0.1 }] } }) { userErrors { message } } }"
)
ALERTS = "subscription { fraudAlerts { cursor node { subjectId } } }"
# The servers that a benchmark of commits needs: nothing is lost when the power goes.
DURABLE = {
    "fsync": "on", "synchronous_commit": "on", "track_commit_timestamp": "on", "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "all", "max_wal_size": "8GB", "checkpoint_timeout": "15min",
}


class Stand:
    """All of it, running, while the `with` lasts."""

    def __init__(self, binary, sender, folder):
        self.sender, self.folder = sender, folder
        self.postgres, self.redis = Postgres(folder, **DURABLE), Redis(folder)
        self.grapevine = Grapevine(binary, folder, self.postgres.url, self.redis.url)
        self.grapevine.env["GRAPEVINE_SOURCE_REQUESTS_PER_SECOND"] = "0"
        self.worker = self.bare = None
        self.runs = 0

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
        self.sql.execute("create extension pg_stat_statements")
        self.sql.execute("insert into brands values (%s, 'default', 'Benchmark', 'USD', 0, false, now())", [BRAND])
        for counter in ("members", "outbox", "outbox_published"):
            self.sql.execute("insert into brand_counters values (%s, %s, 0)", [BRAND, counter])
        self.grapevine.serve()
        self.path, self.secret = self._source()
        self._ask(CAMPAIGN)
        self.creators = [f"creator-{number}" for number in range(CREATORS)]
        for low in range(0, CREATORS, 20):
            handles = enumerate(self.creators[low : low + 20])
            fields = (f'c{at}: createCreator(input: {{ handle: "{handle}" }}) {{ userErrors {{ message }} }}' for at, handle in handles)
            self._ask(f"mutation {{ {' '.join(fields)} }}")

    def __exit__(self, *_):
        for process in (self.worker, self.bare):
            if process:
                stop(process)
        self.grapevine.stop()
        stop(self.redis.process)
        self.postgres.stop()

    def _ask(self, document):
        data = self.grapevine.client.ask(document)
        errors = [error for payload in data.values() for error in payload["userErrors"]]
        if errors:
            raise RuntimeError(f"{document[:60]}: {errors}")
        return data

    def _source(self):
        payload = self._ask(SOURCE)["createWebhookSource"]
        return payload["source"]["url"].split("/", 3)[3], payload["secret"]

    # --- Load ---------------------------------------------------------------------------------------------------------------

    def send(self, seconds, rate=0, batch=1, connections=128, clicks=False, to=None):
        """Posts events and returns what the senders saw."""
        return self.finish(self.sending(seconds, rate, batch, connections, clicks, to))

    def sending(self, seconds, rate=0, batch=1, connections=128, clicks=False, to=None):
        """A sender that has begun."""
        self.runs += 1
        port, path = to or (self.grapevine.port, f"/{self.path}")
        command = [
            self.sender, "send", "--to", f"127.0.0.1:{port}", "--path", path, "--secret", self.secret, "--run", f"r{self.runs}",
            "--campaign", "bench", "--creators", ",".join(self.creators), "--rate", rate, "--seconds", seconds, "--batch", batch,
            "--connections", connections, "--people-apart", max(rate // STEPS, 16), *(["--clicks"] if clicks else []),
        ]
        return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def finish(sender):
        output, errors = sender.communicate()
        if sender.returncode:
            raise RuntimeError(f"the sender: {errors}")
        return json.loads(output)

    def serve_bare(self):
        """A server that only checks signatures, on its port."""
        port = free_port()
        self.bare = start([self.sender, "bare", "--listen", f"127.0.0.1:{port}", "--secret", self.secret], self.folder / "bare.log")
        wait_until(lambda: answers(port), "the bare server")
        return port

    def work(self):
        self.worker = self.grapevine.work()

    def stop_work(self):
        stop(self.worker)
        self.worker = None

    # --- What is there ------------------------------------------------------------------------------------------------------

    def is_behind(self):
        """Whether something was acknowledged that is not worked on yet."""
        return self.sql.execute(
            "select exists (select from positions p cross join lateral (select from events e where e.shard = p.shard and e.state = 'ACCEPTED'"
            " and (e.recorded_xid, e.seq) > (p.recorded_xid, p.seq) limit 1) e where p.consumer = 'pipeline')"
        ).fetchone()[0]

    def settle(self, seconds=900):
        """Waits until everything that was acknowledged is worked on."""
        wait_until(lambda: not self.is_behind(), "the end of the work", seconds)

    def now(self):
        return self.sql.execute("select clock_timestamp()").fetchone()[0]

    # --- What it costs ------------------------------------------------------------------------------------------------------

    def processor(self):
        """Seconds of processor time by what used it. PostgreSQL's backends count for the process that they serve."""
        ports = {port: "door" for port in ports_of(self.grapevine.process.pid)}
        if self.worker:
            ports |= {port: "pipeline" for port in ports_of(self.worker.pid)}
        used = {"door": cpu(self.grapevine.process.pid), "pipeline": cpu(self.worker.pid) if self.worker else 0.0}
        used |= {"door's SQL": 0.0, "pipeline's SQL": 0.0, "PostgreSQL itself": 0.0, "Redis": cpu(self.redis.process.pid)}
        own = {"door": "door's SQL", "pipeline": "pipeline's SQL"}
        for pid, port in self.sql.execute("select pid, client_port from pg_stat_activity where pid <> pg_backend_pid()").fetchall():
            used[own.get(ports.get(port), "PostgreSQL itself")] += cpu(pid)
        return used

    def memory(self):
        """Resident megabytes of the door and of the pipeline."""
        return {name: resident(process.pid) for name, process in (("door", self.grapevine.process), ("pipeline", self.worker)) if process}


def answers(port):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", "/")
        connection.getresponse()
        return True
    except OSError:
        return False


def cpu(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1_024 for line in status if line.startswith("VmRSS"))


def ports_of(pid):
    """The local ports of a process's TCP connections."""
    inodes = set()
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{number}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return {int(row[1].split(":")[1], 16) for row in rows if row[9] in inodes}


class Alerts:
    """A subscriber that notes when each alert arrives, by its subject."""

    def __init__(self, stand):
        self.arrived = {}
        client = stand.grapevine.client
        self.connection = http.client.HTTPConnection("127.0.0.1", client.port)
        key = client.head.split("Bearer ")[1].split("\r\n")[0]
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Accept": "text/event-stream"}
        self.connection.request("POST", "/graphql", json.dumps({"query": ALERTS}), headers)
        self.answer = self.connection.getresponse()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while line := self.answer.readline():
            if line.startswith(b"data:") and b"subjectId" in line:
                subject = json.loads(line[5:])["data"]["fraudAlerts"]["node"]["subjectId"]
                self.arrived[subject] = time.time()
