"""Trying mutants: one process each, one server for all."""

import asyncio
import contextlib
import enum
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import asyncpg
import pytest
from tests.conftest import TEMPLATE, execute, with_database
from tests.mutants import python_mutants, sql_mutants
from tests.mutants.subjects import Part, Subject
from tests.ready_cluster import make_state_dir

from milepost.db.embedded import EmbeddedPostgres
from milepost.db.migrate import migrate
from milepost.settings import Settings

UNREADABLE = 77
"""Exit code of a trial whose mutant PostgreSQL refuses to read."""
HANGS_SECONDS = 20
"""So long takes no test that is not skipped."""
PATIENCE = 4.0
"""A mutant may take so many times as long as the original did; then it hangs, which is seen."""
LEAST_PATIENCE = 30.0


class Verdict(enum.StrEnum):
    KILLED = "killed"
    SURVIVED = "survived"
    TIMED_OUT = "timed out"
    UNREADABLE = "unreadable"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Trial:
    """One mutant and the tests that should see it; ``mutant`` None is the original."""

    name: str
    mutant: sql_mutants.Mutant | python_mutants.CodeMutant | None
    tests: tuple[str, ...]
    skipped: tuple[str, ...]


@contextlib.contextmanager
def served() -> Iterator[str]:
    """A server with a migrated template, and pytest told to use it."""
    state_dir = make_state_dir()
    server = EmbeddedPostgres(Settings(state_dir=state_dir))
    dsn = server.start()
    try:
        asyncio.run(_migrated(dsn))
        os.environ["MILEPOST_TEST_SERVER"] = dsn
        os.environ["MILEPOST_TEST_TEMPLATE"] = TEMPLATE
        yield dsn
    finally:
        server.stop()
        shutil.rmtree(state_dir)


async def _migrated(dsn: str) -> None:
    await execute(dsn, f"CREATE DATABASE {TEMPLATE}")
    await migrate(with_database(dsn, TEMPLATE))


async def trials_of(subject: Subject, dsn: str) -> list[Trial]:
    """All mutants of a subject."""
    made = []
    for part in subject.parts:
        mutants: Sequence[sql_mutants.Mutant | python_mutants.CodeMutant]
        if part.module:
            module = importlib.import_module(part.module)
            mutants = python_mutants.mutants_of(module, part.functions)
        else:
            mutants = await _sql_mutants(part, dsn)
        made += [Trial(one.name, one, part.tests, subject.skipped) for one in mutants]
    return made


async def _sql_mutants(part: Part, dsn: str) -> list[sql_mutants.Mutant]:
    connection = await asyncpg.connect(with_database(dsn, TEMPLATE))
    try:
        definitions = {
            name: await connection.fetchval("SELECT pg_get_functiondef($1::text::regproc)", name)
            for name in part.sql
        }
    finally:
        await connection.close()
    return [
        mutant
        for name, definition in definitions.items()
        for mutant in sql_mutants.mutants_of(name, definition)
    ]


def try_all(trials: Sequence[Trial], dsn: str, at_once: int) -> Iterator[tuple[Trial, Verdict]]:
    """The verdicts, as they come. Raises where the tests fail without a mutant."""
    patience: dict[tuple[str, ...], float] = {}
    for original in {trial.tests: trial for trial in trials}.values():
        _collect(original.tests)
        started = time.monotonic()
        unchanged = Trial("the original", None, original.tests, original.skipped)
        verdict = _Running(unchanged, dsn, 600).ended()
        if verdict is not Verdict.SURVIVED:
            raise SystemExit(f"{original.tests} fail without a mutant: {verdict}")
        taken = time.monotonic() - started
        patience[original.tests] = max(LEAST_PATIENCE, PATIENCE * taken)
    running: list[_Running] = []
    waiting = iter(trials)
    following = next(waiting, None)
    while running or following is not None:
        while following is not None and len(running) < at_once:
            running.append(_Running(following, dsn, patience[following.tests]))
            following = next(waiting, None)
        time.sleep(0.02)
        for one in list(running):
            verdict_now = one.verdict()
            if verdict_now is not None:
                running.remove(one)
                yield one.trial, verdict_now


def _collect(tests: Sequence[str]) -> None:
    """Read the tests once, for all processes that are forked from this one."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        told = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *tests])
    assert told == pytest.ExitCode.OK, told


class _Running:
    """A trial under way."""

    def __init__(self, trial: Trial, dsn: str, patience: float) -> None:
        self.trial = trial
        self._until = time.monotonic() + patience
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 closed with the process
        sys.stdout.flush()
        self._pid = os.fork()
        if not self._pid:
            _child(trial, dsn, self._said.fileno())

    def verdict(self) -> Verdict | None:
        """None: not yet."""
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            # What its tests started and it could not end any more.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            return self._judged(os.waitstatus_to_exitcode(status))
        if time.monotonic() < self._until:
            return None
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        return Verdict.TIMED_OUT

    def ended(self) -> Verdict:
        while (verdict := self.verdict()) is None:
            time.sleep(0.02)
        return verdict

    def _judged(self, code: int) -> Verdict:
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")
        match code:
            case pytest.ExitCode.OK:
                return Verdict.SURVIVED
            case pytest.ExitCode.TESTS_FAILED if "Timeout (>" in said:
                return Verdict.TIMED_OUT
            case pytest.ExitCode.TESTS_FAILED if self.trial.mutant is not None:
                return Verdict.KILLED
            case _ if code == UNREADABLE:
                return Verdict.UNREADABLE
        print(f"ended with {code}: {said[-4000:]}")
        return Verdict.ERROR


def _child(trial: Trial, dsn: str, said: int) -> None:
    code = 70
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.dup2(said, 1)
        os.dup2(said, 2)
        code = _tried(trial, dsn)
    finally:
        sys.stdout.flush()
        os._exit(code)


def _tried(trial: Trial, dsn: str) -> int:
    database = f"mutant_{os.getpid()}"
    if isinstance(trial.mutant, sql_mutants.Mutant):
        asyncio.run(execute(dsn, f"CREATE DATABASE {database} TEMPLATE {TEMPLATE}"))
        try:
            limit = f"ALTER DATABASE {database} SET statement_timeout = '{HANGS_SECONDS // 2}s'"
            asyncio.run(execute(with_database(dsn, database), trial.mutant.source, limit))
        except asyncpg.PostgresError:
            return UNREADABLE
        os.environ["MILEPOST_TEST_TEMPLATE"] = database
    elif trial.mutant is not None:
        trial.mutant.plant()
    # The tests in their files' order: the quickest file was named first.
    arguments = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", *trial.tests]
    arguments.append(f"--timeout={HANGS_SECONDS}")
    if trial.skipped:
        arguments += ["-k", "not (" + " or ".join(trial.skipped) + ")"]
    try:
        return int(pytest.main(arguments))
    finally:
        if isinstance(trial.mutant, sql_mutants.Mutant):
            asyncio.run(execute(dsn, f"DROP DATABASE {database} WITH (FORCE)"))
