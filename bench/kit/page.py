"""What a benchmark writes into docs/benchmarks.md: its own part, between two markers. What stands around it is written by people."""

from pathlib import Path

PATH = Path(__file__).resolve().parents[2] / "docs/benchmarks.md"


def write(benchmark, parts):
    begin, end = f"<!-- bench/{benchmark} writes from here -->", "<!-- to here -->"
    before, rest = PATH.read_text(encoding="utf-8").split(begin)
    after = rest.split(end, 1)[1]
    body = "\n\n".join(parts)
    PATH.write_text(f"{before}{begin}\n\n{body}\n\n{end}{after}", encoding="utf-8")


def table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def precise(number):
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def millions(count):
    return f"{count / 1_000_000:g}M" if count >= 1_000_000 else f"{count // 1_000}k"


def load_average():
    with open("/proc/loadavg", encoding="ascii") as load:
        return float(load.read().split()[0])


def loads(seen, cpus):
    return f"Load average while it ran: {min(seen):.1f} to {max(seen):.1f} on {cpus} processors."
