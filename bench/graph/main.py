"""The benchmark of the referral graph. Start it with `bench/graph/run`."""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import forest as forests
import load
import report
import writes
from measure import Bench
from page import load_average
from questions import questions
from servers import Grapevine, Postgres, Redis, stop

ROOT = Path(__file__).resolve().parents[2]
IMPORT_ROWS_MAX = 1_000_000
VERIFY_MAX = 1_000_000  # members; it is not what is measured
UNTOLD = {
    "every touchpoint, conversion and refund has its event, as far back as the log reaches",
    "every reward, every attribution and every step of a payout was told",
}


def main():
    arguments = read_arguments()
    began = time.perf_counter()

    def tell(text):
        print(f"{time.perf_counter() - began:7.1f} s  {text}", flush=True)

    too_slow, runs = set(), []
    # The last midnight, so that what is kept by day is as fresh as in a live brand.
    now_us = int(time.time()) // 86_400 * 86_400 * 1_000_000
    for count in arguments.sizes:
        (ROOT / "data").mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="bench-graph-", dir=ROOT / "data"))
        try:
            runs.append(run(count, arguments, folder, now_us, too_slow, tell))
        finally:
            shutil.rmtree(folder)
        report.write(runs, arguments.command)
    tell("docs/benchmarks.md is written")


def read_arguments():
    parser = argparse.ArgumentParser(prog="bench/graph/run", description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1_000_000], help="members of each forest [1000000]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--binary", type=Path, required=True, help="the grapevine of a release build; bench/graph/run builds it")
    arguments = parser.parse_args()
    arguments.command = " ".join(["bench/graph/run", *map(str, arguments.sizes), f"--seed {arguments.seed}"])
    return arguments


def run(count, arguments, folder, now_us, too_slow, tell):
    """Everything about one forest."""
    tell(f"== {count:,} members")
    forest = forests.grow(count, arguments.seed, now_us)
    names = load.Names(forest, arguments.seed)
    postgres, redis, grapevine = Postgres(folder), Redis(folder), None
    try:
        grapevine = Grapevine(arguments.binary, folder, postgres.url, redis.url)
        grapevine.run("migrate")
        tell("the forest has grown, and PostgreSQL runs")
        with postgres.connect() as connection:
            load.fill(connection, forest, names, tell)
        graph = load.fill_kuzu(folder, forest, names)
        tell("Kùzu is filled")
        grapevine.serve()
        bench = Bench(postgres, grapevine, graph, names, load.samples(forest, arguments.seed), folder, tell)
        return measure(bench, grapevine, forest, count, too_slow)
    finally:
        if grapevine:
            grapevine.stop()
        stop(redis.process)
        postgres.stop()


def verify(grapevine):
    """What was written by hand is what Grapevine would keep. Its sales have no events, and nobody was told of them: no more is broken."""
    _, output, _ = grapevine.outcome("verify", "--json")
    broken = [finding for finding in json.loads(output)["findings"] if finding["breach_count"]]
    if {finding["invariant"] for finding in broken} - UNTOLD:
        raise AssertionError(f"the forest is not as Grapevine would keep it: {broken}")


def measure(bench, grapevine, forest, count, too_slow):
    if count <= VERIFY_MAX:
        verify(grapevine)
    loads = [load_average()]
    rows = {}
    for question in questions():
        rows[question.key] = bench.measure(question, too_slow)
        loads.append(load_average())
    found = {
        "signups": writes.signups(bench, grapevine, forest),
        "moves": writes.moves(bench, forest),
        "import": writes.imports(bench, grapevine, forest, min(count, IMPORT_ROWS_MAX)),
    }
    return {"count": count, "cpus": os.cpu_count(), "rows": rows, "writes": found, "loads": loads + [load_average()]}


if __name__ == "__main__":
    main()
