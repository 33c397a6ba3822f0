"""The benchmark of the way in. Start it with `bench/ingest/run`."""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import door
import growth
import pipeline
import report
from page import load_average
from stand import Stand

ROOT = Path(__file__).resolve().parents[2]


def main():
    arguments = read_arguments()
    began = time.perf_counter()

    def tell(text):
        print(f"{time.perf_counter() - began:7.1f} s  {text}", flush=True)

    (ROOT / "data").mkdir(exist_ok=True)
    found, loads = {}, []
    parts = {
        "door": lambda stand: door.measure(stand, tell),
        "pipeline": lambda stand: pipeline.measure(stand, arguments.sustain, tell),
        "growth": lambda stand: growth.measure(stand, arguments.rows, tell),
    }
    for name in arguments.parts or parts:
        # Each part has servers of its own, so that none pays for what another left behind.
        folder = Path(tempfile.mkdtemp(prefix="bench-ingest-", dir=ROOT / "data"))
        loads.append(load_average())
        try:
            with Stand(arguments.binary, arguments.sender, folder) as stand:
                found[name] = parts[name](stand)
        finally:
            shutil.rmtree(folder)
    if not arguments.parts:
        report.write(found, loads, os.cpu_count(), arguments.command)
        tell("docs/benchmarks.md is written")


def read_arguments():
    parser = argparse.ArgumentParser(prog="bench/ingest/run", description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, default=[1_000_000], help="events in the log, growing [1000000]")
    parser.add_argument("--sustain", type=int, default=60, help="seconds that the pipeline is kept busy [60]")
    parser.add_argument("--part", dest="parts", action="append", choices=["door", "pipeline", "growth"], help="this part alone, nothing is written")
    parser.add_argument("--binary", type=Path, required=True, help="the grapevine of a release build; bench/ingest/run builds it")
    parser.add_argument("--sender", type=Path, required=True, help="the sender; bench/ingest/run builds it")
    arguments = parser.parse_args()
    arguments.command = " ".join(["bench/ingest/run", *map(str, arguments.rows), f"--sustain {arguments.sustain}"])
    return arguments


if __name__ == "__main__":
    main()
