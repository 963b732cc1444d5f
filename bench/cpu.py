"""CPU time and memory of process trees, from /proc.

CPU time a request is steady on shared cores, where throughput is not.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def cpu_seconds(*roots: int) -> float:
    """CPU seconds that these processes and all their descendants have spent, dead ones included."""
    ticks = 0
    for pid in tree(*roots):
        fields = _stat(pid)
        # utime, stime and those of children that ended and were waited for.
        ticks += sum(map(int, fields[11:15])) if fields else 0
    return ticks / _TICK


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
