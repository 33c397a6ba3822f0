"""Asks each question of each engine: first that the answers are equal, then how long they take."""

import re
import subprocess
import time
from collections import Counter
from itertools import cycle

import psycopg

from questions import Question
from servers import Refused

RUNS_MAX, ROUNDS, ROUND_SECONDS = 2_000, 3, 0.7
SLOW_SECONDS = 60
CHECKS = 5
PGBENCH_SAMPLES, PGBENCH_SECONDS = 100, 2


class TooSlow(Exception):
    """Not answered within SLOW_SECONDS."""


def summary(rounds):
    """Median and 99th percentile in milliseconds of the round with the lowest median: the one that other work disturbed least."""
    best = min((sorted(times) for times in rounds if times), key=lambda times: times[len(times) // 2])
    at = lambda share: best[min(len(best) - 1, int(len(best) * share))]  # noqa: E731
    return {"p50": at(0.5), "p99": at(0.99), "runs": sum(len(times) for times in rounds)}


def timed(run, members):
    """Runs with one member after the other, `run` giving milliseconds, in rounds; a slow run is not repeated for long."""
    rounds, turn = [], cycle(members)
    for _ in range(ROUNDS):
        times, until = [], time.perf_counter() + ROUND_SECONDS
        while not times or (time.perf_counter() < until and len(times) < RUNS_MAX // ROUNDS):
            times.append(run(next(turn)))
        rounds.append(times)
        if times[0] > 5_000:
            break
    return summary(rounds)


def wall_ms(run):
    started = time.perf_counter()
    run()
    return (time.perf_counter() - started) * 1_000


class Bench:
    """One forest in all engines."""

    def __init__(self, postgres, grapevine, graph, names, samples, folder, tell):
        self.postgres, self.client, self.graph = postgres, grapevine.client, graph
        self.names, self.samples, self.folder, self.tell = names, samples, folder, tell
        self.sql = postgres.connect()
        self.sql.execute(f"set statement_timeout = '{SLOW_SECONDS}s'")
        graph.execute(f"call timeout = {SLOW_SECONDS * 1_000}")
        graph.execute("call var_length_extend_max_depth = 20000")

    def measure(self, question: Question, too_slow):
        """The row of a question: engine to its figures. `too_slow` names the cells that a smaller forest has shown to be hopeless."""
        members = self.samples[question.asked_of]
        if not members:
            return {"absent": "there is none in this forest"}
        try:
            answers = [question.read(self.ask(question, member)) for member in members[:CHECKS]]
        except Refused as refusal:
            self.tell(f"{question.key}: the API says: {refusal}")
            return {"absent": f"the API says: {refusal}"}
        baseline = self.baseline(question, members, answers, too_slow)
        row = {**baseline, **self.ours(question, members)}
        self.tell(f"{question.key}: " + ", ".join(f"{name} {cell['p50']:.3f}" for name, cell in row.items() if "p50" in cell))
        return row

    def ask(self, question, member):
        return self.client.ask(question.document, **question.arguments(self.names, member))

    # --- The others ---------------------------------------------------------------------------------------------------------

    def baseline(self, question, members, answers, too_slow):
        key, cells = question.key, {}
        for engine, answer, run in (("cte", self.cte_answer, self.cte_ms), ("kuzu", self.kuzu_answer, self.kuzu_ms)):
            if f"{engine}|{key}" in too_slow:
                cells[engine] = {"slow": True}
                continue
            try:
                for member, expected in zip(members, answers):
                    found = answer(question, member)
                    if found != expected:
                        raise AssertionError(f"{key} of {member}: {engine} says {found!s:.500}, ours says {expected!s:.500}")
                cells[engine] = self.timed(engine, run, question, members)
            except TooSlow:
                cells[engine] = {"slow": True}
                too_slow.add(f"{engine}|{key}")
        return cells

    def timed(self, engine, run, question, members):
        if engine == "kuzu":
            return timed(lambda member: run(question, member), members)
        with self.postgres.logging():
            return timed(lambda member: run(question, member), members)

    def cte_answer(self, question, member):
        try:
            rows = self.sql.execute(question.statement, question.binds(self.names, member), prepare=True).fetchall()
        except psycopg.errors.QueryCanceled as error:
            raise TooSlow from error
        return question.read_rows(rows)

    def cte_ms(self, question, member):
        _, statements = self.postgres.measured(lambda: self.cte_answer(question, member))
        return sum(statement.ms for statement in statements)

    def kuzu_answer(self, question, member):
        try:
            return question.cypher(self.graph, member)
        except RuntimeError as error:
            if "Interrupted" in str(error) or "Buffer manager" in str(error):
                raise TooSlow from error
            raise

    def kuzu_ms(self, question, member):
        return wall_ms(lambda: self.kuzu_answer(question, member))

    # --- Ours -----------------------------------------------------------------------------------------------------------------

    def ours(self, question, members):
        """In the database, through the API, and the API's own statements by pgbench."""
        requests = {member: self.client.request(question.document, question.arguments(self.names, member)) for member in members}
        with self.postgres.logging():
            prefaces = self.preface(question, members[0])
            captured = []

            def in_database(member):
                _, statements = self.postgres.measured(lambda: self.client.send(requests[member]))
                captured.append(statements)
                return sum(statement.ms for statement in statements if statement.text not in prefaces)

            database = timed(in_database, members)
        api = timed(lambda member: wall_ms(lambda: self.client.send(requests[member])), members)
        return {"ours": database, "api": api, "pgbench": self.pgbench(captured), "statements": {"count": len(captured[-1])}}

    def preface(self, question, member):
        arguments = question.arguments(self.names, member) if "$id" in question.preface else {}
        _, statements = self.postgres.measured(lambda: self.client.ask(question.preface, **arguments))
        return {statement.text for statement in statements}

    def pgbench(self, captured):
        """The statements of the most usual kind of request, all of them, with the members of up to PGBENCH_SAMPLES requests."""
        kinds = [tuple(statement.text for statement in statements) for statements in captured]
        usual, _ = Counter(kinds).most_common(1)[0]
        same = [statements for statements, kind in zip(captured, kinds) if kind == usual][-PGBENCH_SAMPLES:]
        script = self.folder / "question.sql"
        lines = [f"\\set i random(1, {len(same)})"]
        for place, text in enumerate(usual):
            lines.append(self.inline(text, [statements[place].parameters for statements in same]) + ";")
        script.write_text("\n".join(lines), encoding="utf-8")
        prefix = self.folder / "pgbench"
        options = ["-n", "-M", "prepared", "-c", "1", "-T", PGBENCH_SECONDS, "-l", "--log-prefix", prefix, "-f", script]
        where = ["-h", "127.0.0.1", "-p", self.postgres.port, "-U", "grapevine", "grapevine"]
        done = subprocess.run([str(part) for part in ["pgbench", *options, *where]], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"pgbench: {done.stderr}\n{script.read_text()[:3000]}")
        [log] = self.folder.glob("pgbench.*")
        times = [int(line.split()[2]) / 1_000 for line in log.read_text().splitlines()]
        log.unlink()
        third = max(1, len(times) // ROUNDS)
        return summary([times[at : at + third] for at in range(0, third * ROUNDS, third)])

    def inline(self, text, rows):
        """A statement with its parameters in place: what all requests share as it is, the rest picked by the number of the request."""
        types = self.types(text) if "$1" in text else []

        def value(match):
            place = int(match[1]) - 1
            values = [literal(row[place]) for row in rows]
            if len(set(values)) == 1:
                return f"{values[0]}::{types[place]}"
            return f"((array[{', '.join(values)}]::text[])[:i])::{types[place]}"

        return re.sub(r"\$(\d+)", value, text)

    def types(self, text):
        self.sql.execute(f"prepare probe as {text}")
        query = "select parameter_types::text[] from pg_prepared_statements where name = 'probe'"
        types = self.sql.execute(query, prepare=False).fetchone()[0]
        self.sql.execute("deallocate probe")
        return types


def literal(text):
    """A logged value without colons, which pgbench would take for a variable's."""
    if ":" not in text:
        return text
    return "E" + text.replace("\\", "\\\\").replace(":", "\\x3a")
