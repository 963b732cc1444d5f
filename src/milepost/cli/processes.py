"""Child processes: started in sessions of their own, restarted when they die, stopped in order."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import structlog

from milepost import observe, settings
from milepost.cli.session import join
from milepost.errors import ConfigurationError, ServerNotStarted
from milepost.settings import Settings

FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
MOST_FILES = 8192
# One that lived so long was no crash loop.
STEADY_SECONDS = 10.0
WATCH_SECONDS = 1.0
# An orphan that still has not drained after so many seconds never will.
ORPHAN_SECONDS = 30
# What a child exits with when only the operator can help (sysexits' EX_CONFIG).
EXIT_CONFIGURATION = 78
# What it exits with when the next one may do better (EX_UNAVAILABLE).
EXIT_UNAVAILABLE = 69

log = structlog.get_logger()


class Child:
    """One child process, kept alive until it is stopped."""

    def __init__(self, name: str, module: str, environment: dict[str, str]) -> None:
        self.name = name
        self._command = [sys.executable, "-m", module, str(os.getpid())]
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Of the process that lives now, None while none does."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def keep(self, misconfigured: Callable[[], None]) -> None:
        """Starts it again whenever it ends, after 0.1 to 5 s; returns once ``stop`` was called.

        ``misconfigured`` is called, and it is not started again, when its first life ends with
        saying that the operator must change something.
        """
        delay = FIRST_DELAY
        while not self._stopping:
            started = time.monotonic()
            # A session of its own: Ctrl-C reaches the parent alone, which stops all in order.
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, start_new_session=True
            )
            if self._stopping:
                # Told while it was being started: it has nothing in hand yet.
                self.kill()
            code = await self._process.wait()
            if self._stopping:
                return
            # Who got past that once has the same settings now: it is the moment that is wrong.
            if code == EXIT_CONFIGURATION and self.restarts == 0:
                misconfigured()
                return
            if time.monotonic() - started >= STEADY_SECONDS:
                delay = FIRST_DELAY
            log.warning("child ended, starting it again", process=self.name, exit_code=code)
            self.restarts += 1
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def stop(self, seconds: float) -> None:
        """Asks it to finish what it has in hand; after ``seconds`` kills it and its children."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            log.warning("child did not stop in time, killing it", process=self.name)
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """Ends it at once, with everything in its session."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def drain_when_orphaned(parent: int) -> None:
    """Has this process treat the end of ``parent`` (a pid) as SIGTERM, noticed within a second."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        # Again and again: a process that has only just started may not heed the first one yet.
        for _ in range(ORPHAN_SECONDS):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(WATCH_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()


def collect_rarely() -> None:
    """What was imported lives as long as the process: the collector need not walk it again.

    Neither a request nor a check leaves cycles worth speaking of; collecting every 700 objects cost
    a tenth of either.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@contextlib.contextmanager
def collecting_rarely() -> Iterator[None]:
    """``collect_rarely`` during an import: rows outlive the young generations while they wait for
    their turn, and every few chunks all that was imported was walked for their sake."""
    before = gc.get_threshold()
    collect_rarely()
    try:
        yield
    finally:
        # What is frozen stays so: thawing it would thaw what the process had frozen before, too.
        gc.set_threshold(*before)


def open_many_files() -> None:
    """As many as the system lets us: the usual bound of 1,024 is that of programs with ``select``.

    Every request to a subscriber is one, and those that hang must not keep others from theirs.
    """
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def run_child(name: str, run: Callable[[Settings], None]) -> int:
    """The main function of a child, whose argument is its parent's pid; returns the exit code."""
    drain_when_orphaned(int(sys.argv[1]))
    chosen = settings.load()
    observe.configure(name, level=chosen.log_level)
    try:
        with join(chosen) as joined:
            run(joined)
    except ServerNotStarted as error:
        # It ran when our parent began: somebody ended it meanwhile, and it comes back.
        sys.stderr.write(f"milepost {name}: {error}\n")
        return EXIT_UNAVAILABLE
    except ConfigurationError as error:
        sys.stderr.write(f"milepost {name}: {error}\n")
        return EXIT_CONFIGURATION
    return 0
