"""The benchmark of attribution. Start it with `bench/attribution/run`."""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import page
from page import load_average, millions, precise, table
from stand import Stand

ROOT = Path(__file__).resolve().parents[2]
TOUCHES = (1, 10, 100)
MODELS = ["FIRST_TOUCH", "LAST_TOUCH", "LINEAR", "TIME_DECAY", "POSITION_BASED", "WEIGHTED_LAST_TOUCH"]
ASKED = {"one model": MODELS[2:3], "six models": MODELS}
# What is asked of two processors.
PER_SECOND, REPORT_MS, TRIAL_SECONDS, TRIAL_CONVERSIONS = 20_000, 200, 60, 1_000_000
REPEATS = 5


def main():
    arguments = read_arguments()
    began = time.perf_counter()

    def tell(text):
        print(f"{time.perf_counter() - began:7.1f} s  {text}", flush=True)

    (ROOT / "data").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-attribution-", dir=ROOT / "data"))
    loads = [load_average()]
    try:
        with Stand(arguments.binary, folder) as stand:
            found = measure(stand, arguments.conversions, tell)
    finally:
        shutil.rmtree(folder)
    loads.append(load_average())
    if arguments.write:
        write(found, loads, arguments.conversions)
        tell("docs/benchmarks.md is written")


def measure(stand, conversions, tell):
    found = {"credited": []}
    for touches in TOUCHES:
        stand.clicks(conversions, touches)
        stand.sales(conversions, touches)
        seconds = stand.work_off()
        records = stand.records()
        if records != conversions * sum(number for number in TOUCHES if number <= touches):
            raise RuntimeError(f"{records} records stand, which is not one for each touch")
        found["credited"].append({"touches": touches, "seconds": seconds, "per_second": conversions / seconds})
        tell(f"{touches} touches: {conversions / seconds:.0f} conversions a second")
    # Judged again: those of the day of a hundred touches. Kept: all of them.
    found["records"] = {"judged again": conversions * TOUCHES[-1], "kept sums": conversions * sum(TOUCHES)}
    found["report"] = {("judged again", name): report_ms(lambda: stand.report_anew(models)) for name, models in ASKED.items()}
    tell(f"the report, judged again: {found['report']}")
    found["keeping"] = stand.keep()
    tell(f"sums were kept in {found['keeping']:.0f} s")
    found["report"] |= {("kept sums", name): report_ms(lambda: stand.report_kept(models)) for name, models in ASKED.items()}
    tell(f"the report: {found['report']}")
    found["trial"] = stand.trial()
    tell(f"the trial: {found['trial']}")
    return found


def report_ms(ask):
    """The median of some reports by creator."""
    spent = sorted(ask() for _ in range(REPEATS))
    return spent[REPEATS // 2]


def write(found, loads, conversions):
    head = f"`bench/attribution/run {conversions}`, {time.strftime('%Y-%m-%d', time.gmtime())}. {page.loads(loads, os.cpu_count())}"
    kept, kept_ms = found["records"]["kept sums"], found["report"]["kept sums", "one model"]
    trial, at_ten = found["trial"], next(one for one in found["credited"] if one["touches"] == 10)
    targets = [
        row("conversions credited a second at 10 touches", f"≥ {PER_SECOND:,}", at_ten["per_second"], at_ten["per_second"] >= PER_SECOND),
        row(f"a report over {millions(kept)} records, one model", f"≤ {REPORT_MS} ms", kept_ms, kept_ms <= REPORT_MS),
        row(
            f"a draft tried on {millions(TRIAL_CONVERSIONS)} conversions, at the pace of {millions(trial['conversions'])}", f"≤ {TRIAL_SECONDS} s",
            TRIAL_CONVERSIONS / trial["conversions"] * trial["seconds"], TRIAL_CONVERSIONS / trial["conversions"] * trial["seconds"] <= TRIAL_SECONDS,
        ),
    ]
    credited = [[one["touches"], precise(one["per_second"]), precise(one["per_second"] * one["touches"])] for one in found["credited"]]
    costs = [
        [f"report by creator, {name}, {way}", millions(found["records"][way]) + " records", f"{precise(ms)} ms"]
        for (way, name), ms in found["report"].items()
    ]
    costs.append(["sums of all hours and days, kept by the worker", millions(kept) + " records", f"{precise(found['keeping'])} s"])
    costs.append(["a draft tried on all", millions(trial["conversions"]) + " conversions", f"{precise(trial['seconds'])} s, {trial['steps']} steps told"])
    costs.append(["memory of the API after it", "", f"{precise(trial['megabytes'])} MB"])
    page.write("attribution", [
        head, "### Targets\n\n" + table(["target", "bound", "figure", "holds"], targets),
        "### Credited\n\n" + table(["touches each", "conversions a second", "records a second"], credited),
        "### Asked\n\n" + table(["what", "over", "takes"], costs),
    ])


def row(what, bound, value, holds):
    return [what, bound, precise(value), "yes" if holds else "**no**"]


def read_arguments():
    parser = argparse.ArgumentParser(prog="bench/attribution/run", description=__doc__)
    parser.add_argument("conversions", nargs="?", type=int, default=10_000, help="conversions of each number of touches, at most 100000 [10000]")
    parser.add_argument("--no-write", dest="write", action="store_false", help="leave docs/benchmarks.md as it is")
    parser.add_argument("--binary", type=Path, required=True, help="the grapevine of a release build; bench/attribution/run builds it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
