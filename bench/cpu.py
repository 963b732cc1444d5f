"""CPU time and memory of process trees, from /proc.

CPU time a request is steady on shared cores, where throughput is not.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def cpu_seconds(*roots: int) -> float:
    """CPU seconds that these processes and all their descendants have spent, dead ones included."""
    return sum(map(_spent, tree(*roots)))


def _spent(pid: int) -> float:
    """Of one process, to the nanosecond, and of its children that ended and were waited for."""
    fields = _stat(pid)
    if not fields:
        return 0.0
    ended = sum(map(int, fields[13:15])) / _TICK
    try:
        # As clock_getcpuclockid(3) makes it. A short measurement is few of /proc's ticks.
        return ended + time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return ended + sum(map(int, fields[11:13])) / _TICK


def tree(*roots: int) -> set[int]:
    """These processes and all their living descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    for pid in _pids():
        fields = _stat(pid)
        if fields:
            children[int(fields[1])].append(pid)
    found, waiting = set(), list(roots)
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += children[pid]
    return found


def peak_megabytes(pid: int) -> float:
    """The most resident memory a process ever had, in MB (10^6 bytes)."""
    return _status(pid, "VmHWM")


def resident_megabytes(pid: int) -> float:
    """The resident memory of a process now, in MB (10^6 bytes)."""
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> float:
    for line in (_PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(f"process {pid} tells no {name}")


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir(_PROC) if name.isdigit())


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold spaces; empty once it is gone."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
