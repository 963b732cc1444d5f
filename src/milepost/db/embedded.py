"""The bundled PostgreSQL: initialised, started, shared and stopped by us.

Several processes may use one state directory. Each holds a shared lock on ``users.lock``;
starting and stopping happen under ``start.lock``; the last one out stops the server. A server
whose users were all killed is found running, or recovers, at the next start.
"""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote
from weakref import WeakSet

from milepost.db.cluster import (
    SOCKET_NAME,
    check_version,
    find_data,
    forget_socket_folder,
    initialise,
    make_folder,
    socket_folder_for,
    why_it_ended,
)
from milepost.db.postmaster import (
    is_stopping,
    running_postmaster,
    socket_of,
    wait_gone,
    wait_ready,
)
from milepost.db.unprivileged import RunAs, binaries, run_as
from milepost.errors import ServerNotStarted
from milepost.settings import Settings

# Crash recovery after a long outage can take minutes; a dead server is noticed at once.
START_SECONDS = 600.0
STOP_SECONDS = 60.0
# A server that somebody else told to stop, and that is used, has so long to be gone. One told a
# moment after it had recovered was found two minutes later with nothing left but its checkpointer.
STUCK_SECONDS = 30.0
_AT_ONCE = (signal.SIGQUIT, signal.SIGKILL)
_IN_ORDER = (signal.SIGINT, *_AT_ONCE)
# Processes of a killed server hold its shared memory for a moment.
MEMORY_SECONDS = 30.0

SERVER_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A restored backup is ready when it has been brought up to its end, and not read-only before.
    "hot_standby": "off",
    # A statement that fails is the client's to report: the server's log would show its values.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
}


class EmbeddedPostgres:
    """One user of the server in ``settings.state_dir``. All methods block; call from a thread."""

    def __init__(self, settings: Settings) -> None:
        self.state_dir = settings.state_dir.resolve()
        self.folder = self.state_dir / "postgresql"
        self._users_lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._dsn = ""
        self._data = Path()
        _instances.add(self)

    def start(self) -> str:
        """Starts the server or joins the running one; returns the DSN of its superuser.

        Raises ConfigurationError where the state directory or PostgreSQL does not allow it, and
        ServerNotStarted, which is one, where it ended or was ended while it started.
        """
        make_folder(self.state_dir, self.folder)
        with self._start_lock():
            self._users_lock = os.open(self.folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._users_lock, fcntl.LOCK_SH)
            try:
                self._ensure_running()
            except BaseException:
                self._leave()
                raise
        return self._dsn

    def ensure_running(self) -> bool:
        """Starts the server again if it died; True if it had to. For a supervisor's watch.

        One that somebody else told to stop is waited for, and ended where it does not.
        """
        if self._process is not None:
            self._process.poll()
        if running_postmaster(self._data) is not None and not is_stopping(self._data):
            return False
        with self._start_lock():
            if self._users_lock is None:
                # Stopped while we waited: a server started now would have no user.
                return False
            self._ensure_running()
        return True

    def stop(self) -> None:
        """Leaves the server; stops it when nobody else uses it. Does nothing when not started."""
        if self._users_lock is None:
            return
        with self._start_lock():
            alone = self._alone(self._users_lock)
            self._leave()
            if alone:
                self._stop_server()
                forget_socket_folder(self.folder)

    @contextmanager
    def _start_lock(self) -> Iterator[None]:
        handle = os.open(self.folder / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _alone(self, users_lock: int) -> bool:
        try:
            fcntl.flock(users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _leave(self) -> None:
        if self._users_lock is not None:
            os.close(self._users_lock)
            self._users_lock = None

    def _ensure_running(self) -> None:
        self._data = find_data(self.folder)
        user = run_as(self._data)
        programs = binaries(user)
        if not (self._data / "PG_VERSION").exists():
            initialise(self._data, programs, user)
        check_version(self._data)
        if not self._join():
            self._launch(programs, user)
        self._dsn = dsn_for(socket_of(self._data))

    def _join(self) -> bool:
        """True when a server is running here already and can be reached."""
        if is_stopping(self._data):
            wait_gone(self._data, STUCK_SECONDS, self._process)
            self._stop_server(_AT_ONCE)
        pid = running_postmaster(self._data)
        if pid is None or not wait_ready(self._data, pid, START_SECONDS):
            return False
        if (socket_of(self._data) / SOCKET_NAME).exists():
            return True
        # Somebody tidied the temporary folder: nobody can reach that server any more.
        self._stop_server()
        return False

    def _launch(self, programs: Path, user: RunAs) -> None:
        socket_folder = socket_folder_for(self.folder, user)
        command = [str(programs / "postgres"), "-D", str(self._data)]
        for name, value in SERVER_SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        command += ["-c", f"unix_socket_directories={socket_folder}"]
        give_up = time.monotonic() + MEMORY_SECONDS
        log = self.folder / "start.log"
        while True:
            # Their process does not live, or is another program: PostgreSQL would refuse to start.
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            (socket_folder / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)
            with log.open("wb") as output:
                self._process = subprocess.Popen(  # noqa: S603 our own program
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    **user.popen_arguments(),
                )
            if wait_ready(self._data, self._process.pid, START_SECONDS, self._process):
                return
            reason = why_it_ended(self._data, log, self._process.pid)
            if "pre-existing shared memory block" not in reason or time.monotonic() > give_up:
                raise ServerNotStarted(f"PostgreSQL did not start: {reason}")
            time.sleep(0.2)

    def _stop_server(self, signals: Sequence[signal.Signals] = _IN_ORDER) -> None:
        """Fast shutdown; after a minute an immediate one, which loses nothing but time."""
        for what in signals:
            pid = running_postmaster(self._data)
            if pid is None:
                break
            with suppress(ProcessLookupError):
                os.kill(pid, what)
            wait_gone(self._data, STOP_SECONDS, self._process)
        if self._process is not None:
            self._process.wait()
            self._process = None


def _forget_in_fork() -> None:
    """A fork would share our lock: it is no user, and must not keep the server from stopping."""
    for instance in list(_instances):
        instance._leave()


_instances: "WeakSet[EmbeddedPostgres]" = WeakSet()
os.register_at_fork(after_in_child=_forget_in_fork)


def dsn_for(socket_folder: Path) -> str:
    """The superuser's DSN; every connection but a migration's drops to one of our roles."""
    return f"postgresql://milepost@/milepost?host={quote(str(socket_folder))}&port=5432"
