"""A private PostgreSQL server for tests: made in a temporary folder on first use, one per test process, on a unix socket.
A test asks for the fixture `postgres` (the server, to be stopped and killed) or `database` (the address of a fresh, empty
database on it). Where there is no server to be had, tests are skipped and say so; with `CI=true` they fail."""

import asyncio
import contextlib
import functools
import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

LONGEST_START = 60.0
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "300",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "log_min_messages": "panic",
    "restart_after_crash": "on",
}
_UNDERTAKER = """
cat >/dev/null
while pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null; do sleep 0.1; done
rm -rf "$1"
"""
"""Clears up when the test process is over, however it ended: then nobody holds the other end of this one's input."""
_EMPTY = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid();
ALTER DATABASE {name} RESET ALL;
DO $$
DECLARE made name;
BEGIN
    FOR made IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', made);
    END LOOP;
END $$;
CREATE SCHEMA public;
"""
_count = itertools.count(1)


class Server:
    """A cluster of its own. `fsync=True` where a test is about what a disk holds; without, it is quicker."""

    def __init__(self, programs: Path, *, fsync: bool = False) -> None:
        self._programs = programs
        self._user = _unprivileged()
        self.folder = Path(tempfile.mkdtemp(prefix="segue-pg-"))
        if self._user is not None:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self._settings = _SETTINGS | {"unix_socket_directories": str(self.folder), "fsync": "on" if fsync else "off"}
        self._process: subprocess.Popen[bytes] | None = None
        self._emptied: list[str] = []
        self._undertaker = subprocess.Popen(
            ["sh", "-c", _UNDERTAKER, "sh", str(self.folder)], stdin=subprocess.PIPE, start_new_session=True
        )
        how = ["-D", str(self._data), "-U", "segue", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        self._run("initdb", *how)
        self.start()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def address(self, database: str = "postgres") -> str:
        """Where a database of this server is reached."""
        return f"postgresql://segue@/{database}?host={self.folder}"

    def fresh(self) -> str:
        """The address of an empty database: a new one, or one that was emptied."""
        if self._emptied:
            return self.address(self._emptied.pop())
        name = f"d{next(_count)}"
        self.run_sql(f"CREATE DATABASE {name}")
        return self.address(name)

    def empty(self, database: str) -> None:
        """Cut off who is connected to a database and take everything out of it: to make one takes ten times as long."""
        self.run_sql(_EMPTY.format(name=database), database)
        self._emptied.append(database)

    def run_sql(self, statement: str, database: str = "postgres") -> str:
        """Do something from outside the process that is tested, and give what it answered."""
        return self._run("psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.address(database), "-c", statement)

    def start(self) -> None:
        """Start the server; return when it takes connections."""
        words = [str(self._programs / "postgres"), "-D", str(self._data)]
        words += [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **self._as_user()
            )
        end = time.monotonic() + LONGEST_START
        ready = [str(self._programs / "pg_isready"), "-q", "-h", str(self.folder)]
        while subprocess.run(ready, check=False).returncode:
            if self._process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text('utf-8', 'replace')[-4000:]}")
            time.sleep(0.02)

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._process is not None

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: by default now, with every connection cut (`SIGQUIT`: without writing anything down)."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(LONGEST_START)
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server and start it again."""
        self.stop(how)
        self.start()

    def kill(self) -> None:
        """`kill -9` the server and all processes that serve connections."""
        if self._process is None:
            return
        children = [int(pid) for pid in Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()]
        self._process.kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(LONGEST_START)
        self._process = None

    def remove(self) -> None:
        """Stop the server and delete what it wrote."""
        self.stop(signal.SIGQUIT)
        self._undertaker.communicate()

    def _run(self, program: str, *words: str) -> str:
        done = subprocess.run(
            [str(self._programs / program), *words], cwd=self.folder, capture_output=True, text=True, check=False, **self._as_user()
        )
        assert done.returncode == 0, f"{program} failed: {done.stderr.strip()}"
        return done.stdout.strip()

    def _as_user(self) -> dict[str, object]:
        """A server refuses to be run by root."""
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


def name_of(address: str) -> str:
    """The name of a database that `fresh` has given."""
    return re.split("[/?]", address)[3]


class Relay:
    """Stands between clients and the server, on a socket of its own, and loses what a test tells it to lose."""

    def __init__(self, server: Server) -> None:
        self._to = str(server.folder / ".s.PGSQL.5432")
        self._folder = tempfile.mkdtemp(prefix="segue-relay-")
        self._words: bytes | None = None
        self._how = "words"
        self.closed = False
        """Whether everybody is turned away once something was lost."""
        self._serving: set[asyncio.Task[Any]] = set()

    def address(self, database: str) -> str:
        """A database's address, by way of the relay."""
        return re.sub(r"host=.*", f"host={self._folder}", database)

    def lose(self, words: bytes, how: Literal["words", "answer", "both", "silently"]) -> None:
        """Lose something of the next connection over which a client sends these words, and cut it.

        "words": the server does not get them; "answer": it does, and answers; "both": it does, and is cut off before it has
        answered; "silently": it does not get them, and nothing is cut.
        """
        self._words, self._how = words, how

    @property
    def lost(self) -> bool:
        """Whether what was to be lost has been."""
        return self._words is None

    async def __aenter__(self) -> "Relay":
        self._server = await asyncio.start_unix_server(self._serve, f"{self._folder}/.s.PGSQL.5432")
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for serving in self._serving:
            serving.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        shutil.rmtree(self._folder)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.add(serving)
        ends = [to_client]
        try:
            if not (self.closed and self.lost):
                server, to_server = await asyncio.open_unix_connection(self._to)
                ends.append(to_server)
                await self._pass_on(client, to_client, server, to_server)
        except asyncio.CancelledError:
            return  # the relay is closed
        finally:
            self._serving.discard(serving)
            for end in ends:
                end.transport.abort()

    async def _pass_on(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter, server: asyncio.StreamReader, to_server: asyncio.StreamWriter
    ) -> None:
        deaf = False

        async def forth() -> None:
            nonlocal deaf
            while data := await client.read(1 << 16):
                if self._words is not None and self._words in data:
                    self._words = None
                    if self._how == "silently":
                        continue
                    if self._how == "words":
                        return
                    deaf = True
                to_server.write(data)
                if deaf and self._how == "both":
                    return

        async def back() -> None:
            while (data := await server.read(1 << 16)) and not deaf:
                to_client.write(data)

        ways = [asyncio.ensure_future(forth()), asyncio.ensure_future(back())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


def _unprivileged() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("PostgreSQL refuses to be run by root, and there is no user 'postgres' or 'nobody'.")


def programs() -> Path | None:
    """Where the server's programs are: the newest of those that Debian keeps off the path, or what `pg_config` or the path tells."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if debian:
        return debian[-1].parent
    if shutil.which("pg_config"):
        told = Path(subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True).stdout.strip())
        if (told / "postgres").exists():
            return told
    found = shutil.which("postgres")
    return Path(found).resolve().parent if found else None


def wanted() -> Path:
    """The same, or the end of the test: skipped on a machine without a server, failed where all tests must run."""
    found = programs()
    if found is None:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("There is no PostgreSQL server on this machine. Install one: apt install postgresql")
    assert found is not None
    return found


@functools.cache
def shared() -> Server:
    """This process's server; it is stopped and deleted with the last test."""
    return Server(wanted())


def pytest_sessionfinish() -> None:
    if shared.cache_info().currsize:
        shared().remove()
        shared.cache_clear()


@pytest.fixture
def postgres() -> Iterator[Server]:
    """A running server. A test may stop it, start it and kill it as it likes."""
    server = shared()
    yield server
    if not server.running:
        server.start()


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """The address of an empty database."""
    address = postgres.fresh()
    yield address
    if not postgres.running:
        postgres.start()
    postgres.empty(name_of(address))
