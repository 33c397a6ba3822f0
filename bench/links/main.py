"""Follows a link many times over kept connections, and tells what each redirect cost of the processors: the server's own time, and that of
PostgreSQL and Redis behind it, all read from /proc. What sends the requests is another process, and is not counted."""

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

PAGE = Path("docs/benchmarks.md")
BEGIN, END = "<!-- bench/links writes from here -->", "<!-- bench/links writes to here -->"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PREVIEW = "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"
TICKS = os.sysconf("SC_CLK_TCK")
TARGET_MS = 1.0


def processes_below(root):
    """A process and all that it has started."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                pass
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def cpu_seconds(root):
    """Processor time of a process and all below it, those that have ended included."""
    total = 0
    for pid in processes_below(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(map(int, fields[11:13])) + (sum(map(int, fields[13:15])) if pid == root else 0)
    return total / TICKS


class Servers:
    """A private PostgreSQL and Redis, as the tests run them: what is committed is not flushed, which is waiting and no processor time."""

    def __init__(self, folder):
        self.folder = folder
        printed = subprocess.run(["bash", "tests/servers.sh", "start", folder], check=True, capture_output=True, text=True).stdout
        found = dict(re.findall(r"export (\w+)=(\S+)", printed))
        self.database = found["GRAPEVINE_TEST_DATABASE_URL"].strip("'\"")
        self.redis = found["GRAPEVINE_TEST_REDIS_URL"].strip("'\"")

    def pids(self):
        return {name: int((self.folder / f"{name}.pid").read_text()) for name in ("postgres", "redis")}

    def stop(self):
        subprocess.run(["bash", "tests/servers.sh", "stop", self.folder], check=True, stdout=subprocess.DEVNULL)


class Grapevine:
    """`serve` and `work`, each a process of its own, so that what a redirect costs is told from what follows it."""

    def __init__(self, binary, servers, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.environment = {
            **os.environ, "DATABASE_URL": servers.database, "REDIS_URL": servers.redis, "GRAPEVINE_DATA_DIR": str(folder),
            "GRAPEVINE_LISTEN": f"127.0.0.1:{self.port}", "GRAPEVINE_SECRET": "5ec2e7" * 10 + "beef", "GRAPEVINE_LOG": "warn",
        }
        self.binary, self.log = str(binary), open(folder / "grapevine.log", "ab")
        up = subprocess.Popen([self.binary, "up"], env=self.environment, stdout=subprocess.PIPE, stderr=self.log, text=True)
        lines = []
        for line in up.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        self.key = re.search(r"gv_\S+", "".join(lines)).group(0)
        up.terminate()
        up.wait(30)
        self.serve, self.work = self.start("serve"), self.start("work")
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the server did not come: see {folder}/grapevine.log")

    def start(self, command):
        return subprocess.Popen([self.binary, command], env=self.environment, stdout=self.log, stderr=self.log)

    def ask(self, query):
        body = json.dumps({"query": query}).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/graphql", body, headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]

    def link(self):
        made = self.ask(
            'mutation { campaign: createCampaign(input: {slug: "bench", name: "Bench", objective: CONVERSION, '
            'destinationUrl: "https://shop.example/p"}) { campaign { id } } '
            'creator: createCreator(input: {handle: "bench"}) { creator { id } } }'
        )
        campaign, creator = made["campaign"]["campaign"]["id"], made["creator"]["creator"]["id"]
        made = self.ask(f'mutation {{ generateLink(input: {{campaignId: "{campaign}", creatorId: "{creator}"}}) {{ link {{ token }} }} }}')
        return made["generateLink"]["link"]["token"]

    def stop(self):
        for process in (self.serve, self.work):
            process.terminate()
        for process in (self.serve, self.work):
            process.wait(30)


def follow(port, path, agent, count, latencies):
    """One connection: a request, its answer, the next request."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: {agent}\r\n\r\n".encode()
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(count):
        started = time.perf_counter()
        connection.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(65536)
        head, body = answer.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 302"), head
        length = int(re.search(rb"content-length: (\d+)", head).group(1))
        while len(body) < length:
            body += connection.recv(65536)
        latencies.append(time.perf_counter() - started)
    connection.close()


def load(port, path, agent, requests, connections):
    latencies = []
    threads = [
        threading.Thread(target=follow, args=(port, path, agent, requests // connections, latencies)) for _ in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = requests // connections * connections
    assert len(latencies) == expected, f"{expected - len(latencies)} requests failed"
    return latencies


def measure(name, port, path, agent, options, processes):
    """The cost of each request by process, in milliseconds of processor time, after as many again to warm up."""
    load(port, path, agent, max(options.requests // 10, options.connections), options.connections)
    before, started = {who: cpu_seconds(pid) for who, pid in processes.items()}, time.perf_counter()
    latencies = sorted(load(port, path, agent, options.requests, options.connections))
    elapsed = time.perf_counter() - started
    cost = {who: (cpu_seconds(pid) - before[who]) / len(latencies) * 1000 for who, pid in processes.items()}
    row = {"name": name, "cost": cost, "rate": len(latencies) / elapsed, "p50": statistics.median(latencies) * 1000,
           "p99": latencies[int(len(latencies) * 0.99)] * 1000}
    print(json.dumps(row), flush=True)
    return row


def write(rows, options, loads):
    bare = rows[0]["cost"]["server"]
    lines = ["| | processor time of the server | of PostgreSQL | of Redis | server / bare | requests/s | p50 | p99 |",
             "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        cost = row["cost"]
        other = [f"{cost[who]:.3f} ms" if who in cost else "–" for who in ("postgres", "redis")]
        lines.append(f"| {row['name']} | {cost['server']:.3f} ms | {other[0]} | {other[1]} | {cost['server'] / bare:.1f}x | "
                     f"{row['rate']:,.0f} | {row['p50']:.2f} ms | {row['p99']:.2f} ms |")
    click = rows[1]["cost"]["server"]
    verdict = "holds" if click <= TARGET_MS else "does not hold"
    head = (f"`bench/links/run`, {time.strftime('%Y-%m-%d', time.gmtime())}, {options.requests:,} requests over {options.connections} "
            f"kept connections each, load average {loads[0]:.1f} to {loads[1]:.1f} on {os.cpu_count()} processors. "
            f"Target: at most {TARGET_MS:g} ms of the server's processor time for a click; {click:.3f} ms, it {verdict}.")
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{head}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--bare", type=Path, required=True)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--debug", action="store_true", help="measures a debug build, and writes nothing")
    options = parser.parse_args()
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="grapevine-links-") as folder:
        folder = Path(folder)
        servers = Servers(folder / "servers")
        try:
            bare = subprocess.Popen([str(options.bare)], stdout=subprocess.PIPE, text=True)
            rows = [measure("a bare redirect of axum", int(bare.stdout.readline()), "/r/x", BROWSER, options, {"server": bare.pid})]
            bare.terminate()
            bare.wait()
            grapevine = Grapevine(options.binary, servers, folder)
            try:
                path, processes = f"/r/{grapevine.link()}", {"server": grapevine.serve.pid, **servers.pids()}
                # What follows the clicks is the worker's: it is stopped, so that its statements are not counted for the redirects.
                grapevine.work.terminate()
                rows.append(measure("a click", grapevine.port, path, BROWSER, options, processes))
                rows.append(measure("a messenger's preview", grapevine.port, path, PREVIEW, options, processes))
            finally:
                grapevine.stop()
        finally:
            servers.stop()
    loads.append(os.getloadavg()[0])
    if not options.debug:
        write(rows, options, loads)


if __name__ == "__main__":
    main()
