"""A private PostgreSQL and Redis, and Grapevine's own processes, on free ports of the loopback.

PostgreSQL writes how long each statement took to its log, when asked to: `Postgres.measured` is the one clock of everything that is
timed "in the database", ours and the recursive statements alike.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

PG_BIN = Path(os.environ.get("PG_BIN", "/usr/lib/postgresql/15/bin"))
SECRET = "5ec2e7" * 10 + "beef"
SETTINGS = {
    "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "timezone": "UTC", "max_connections": "100", "jit": "off",
    "shared_buffers": "4GB", "effective_cache_size": "12GB", "work_mem": "64MB", "maintenance_work_mem": "1GB",
    "random_page_cost": "1.1", "max_wal_size": "32GB", "checkpoint_timeout": "1h", "log_line_prefix": "@@", "lc_messages": "C",
    # What is loaded into an empty table is then not written twice; nothing else depends on it.
    "wal_level": "minimal", "max_wal_senders": "0",
}
DURATION = re.compile(r"LOG:  duration: ([0-9.]+) ms  (parse|bind|execute|statement)[^:]*: (.*)", re.S)
RECEIVE_BYTES = 1 << 18
PARAMETER = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(command, log, env=None):
    with open(log, "ab") as output:
        return subprocess.Popen([str(part) for part in command], stdout=output, stderr=output, env=env, start_new_session=True)


def stop(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(is_true, what, seconds=60):
    for _ in range(seconds * 20):
        if is_true():
            return
        time.sleep(0.05)
    raise RuntimeError(f"{what} did not come within {seconds} seconds")


@dataclass
class Statement:
    """One statement as PostgreSQL ran it: parse, bind (which plans) and execute together."""

    text: str
    parameters: tuple
    ms: float = 0.0


class Postgres:
    """A server with its files under `folder`."""

    def __init__(self, folder: Path, **settings):
        self.folder, self.log, self.port = folder, folder / "postgres.log", free_port()
        # As root it runs in a user namespace of its own, since it refuses to run as root.
        alone = ["unshare", "--user"] if os.geteuid() == 0 else []
        options = ["-U", "grapevine", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"]
        subprocess.run([*alone, PG_BIN / "initdb", "-D", folder / "pg", *options], check=True, stdout=subprocess.DEVNULL)
        with open(folder / "pg/postgresql.conf", "a", encoding="utf-8") as output:
            output.writelines(f"{name} = '{value}'\n" for name, value in (SETTINGS | settings).items())
        self.process = start([*alone, PG_BIN / "postgres", "-D", folder / "pg", "-p", self.port], self.log)
        wait_until(self._answers, "PostgreSQL")
        self.connect("postgres").execute("create database grapevine")
        self.url = f"postgres://grapevine@127.0.0.1:{self.port}/grapevine"

    def _answers(self):
        try:
            self.connect("postgres").close()
            return True
        except psycopg.OperationalError:
            return False

    def connect(self, database="grapevine"):
        connection = psycopg.connect(f"host=127.0.0.1 port={self.port} user=grapevine dbname={database}", autocommit=True)
        connection.prepare_threshold = 0
        return connection

    @contextmanager
    def logging(self, with_parameters=True):
        """Within it every statement goes to the log with its duration."""
        with self.connect() as admin:
            admin.execute(f"alter system set log_parameter_max_length = {-1 if with_parameters else 0}")
            self._set(admin, "0")
            try:
                yield
            finally:
                self._set(admin, "-1")

    def _set(self, admin, duration):
        admin.execute(f"alter system set log_min_duration_statement = '{duration}'")
        admin.execute("select pg_reload_conf()")
        time.sleep(0.3)

    def measured(self, question):
        """What a question answers, and the statements that PostgreSQL ran for it. Lines are in the log before a client has its rows."""
        start_at = self.log.stat().st_size
        answer = question()
        return answer, self.statements(start_at)

    def position(self):
        return self.log.stat().st_size

    def statements(self, start_at):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            log.seek(start_at)
            return read_statements(log.read())

    def stop(self):
        # At once: its files are thrown away.
        self.process.send_signal(3)
        self.process.wait()


def read_statements(text):
    """Reads the lines of a log. Prepared statements have a name per connection, so that the text joins the parts of a run."""
    found, open_ms = [], {}
    for entry in text.split("@@")[1:]:
        if duration := DURATION.match(entry):
            ms, step, statement = float(duration[1]), duration[2], duration[3].replace("\n\t", "\n").rstrip("\n")
            open_ms[statement] = open_ms.get(statement, 0) + ms
            if step in ("execute", "statement"):
                found.append(Statement(statement, (), open_ms.pop(statement)))
        elif entry.startswith("DETAIL:  parameters: ") and found and not open_ms:
            found[-1].parameters = tuple(value for _, value in PARAMETER.findall(entry.replace("\n\t", "\n")))
    return found


class Redis:
    """A server that keeps nothing."""

    def __init__(self, folder: Path):
        self.port = free_port()
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        self.process = start([shutil.which("redis-server"), "--port", self.port, *options], folder / "redis.log")
        self.url = f"redis://127.0.0.1:{self.port}"


class Grapevine:
    """The binary: its commands, and the API with a key."""

    def __init__(self, binary: Path, folder: Path, database_url: str, redis_url: str):
        self.binary, self.folder, self.port, self.process = binary, folder, free_port(), None
        self.env = os.environ | {
            "DATABASE_URL": database_url, "REDIS_URL": redis_url, "GRAPEVINE_SECRET": SECRET, "GRAPEVINE_DATA_DIR": str(folder / "data"),
            "GRAPEVINE_LISTEN": f"127.0.0.1:{self.port}", "GRAPEVINE_LOG": "warn",
        }

    def run(self, *arguments):
        """Runs a command to its end and returns what it prints."""
        code, output, errors = self.outcome(*arguments)
        if code:
            raise RuntimeError(f"grapevine {' '.join(arguments)}: {errors}")
        return output

    def outcome(self, *arguments):
        done = subprocess.run([self.binary, *arguments], env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return done.returncode, done.stdout, done.stderr

    def serve(self):
        self.process = start([self.binary, "serve"], self.folder / "serve.log", self.env)
        wait_until(self._is_ready, "the API")
        key = self.run("key", "create", "--role", "admin", "--name", "benchmark").strip()
        self.client = Client(self.port, key)

    def _is_ready(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5).status == 200
        except OSError:
            return False

    def stop(self):
        if self.process:
            stop(self.process)

    def work(self):
        return start([self.binary, "work"], self.folder / "work.log", self.env)


class Refused(Exception):
    """The API answered with an error."""


class Client:
    """GraphQL over one kept connection. A request is bytes before its clock starts, since Python is slow at making them."""

    def __init__(self, port, key):
        self.port, self.socket = port, None
        self.head = (
            f"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
            "content-type: application/json\r\naccept: application/json\r\ncontent-length: "
        )

    def request(self, document, variables):
        body = json.dumps({"query": document, "variables": variables})
        return f"{self.head}{len(body.encode())}\r\n\r\n{body}".encode()

    def send(self, request):
        """Sends a request and returns the body of its answer. A connection that the API closed, since nothing was asked, is opened anew."""
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(request)
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            part = self.socket.recv(RECEIVE_BYTES)
            if not part:
                self.socket = None
                return self.send(request)
            answer += part
        length = int(re.search(rb"content-length: (\d+)", answer[:end], re.I)[1])
        parts, missing = [answer[end + 4 :]], length - len(answer) + end + 4
        while missing > 0:
            parts.append(self.socket.recv(RECEIVE_BYTES))
            missing -= len(parts[-1])
        return b"".join(parts)

    def ask(self, document, **variables):
        """The data of an answer; its errors are ours."""
        answer = json.loads(self.send(self.request(document, variables)))
        if answer.get("errors"):
            raise Refused(answer["errors"][0]["message"])
        return answer["data"]
