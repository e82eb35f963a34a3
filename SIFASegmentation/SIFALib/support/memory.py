"""How much memory this process may still take, and what is said before the work where that will not suffice.

A system that has promised more than it has ends a process without a word. So what will be needed is reckoned first.
"""

from __future__ import annotations

from pathlib import Path

from .errors import MemoryShort

ALWAYS = 256 * 1024**2  # bytes that are not asked for: where these are missing, nothing runs at all
_OWN = Path("/proc/self/cgroup")  # which groups this process is in
_GROUPS = Path("/sys/fs/cgroup")
_FILES = (("", "memory.max", "memory.current"), ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"))
"""Folder, limit and use of a control group's memory, in versions 2 and 1 (Linux, admin-guide/cgroup-v2, cgroup-v1)."""


def free_memory(swap: bool = False) -> int:
    """Bytes that this process can still take: of the computer, of the container or job that it runs in, and by its own
    limit (`ulimit -v`); 0 where nobody tells. swap: also what would be put on the disk."""
    try:
        import psutil
    except ImportError:  # a Slicer that has not installed it yet
        return 0
    free = int(psutil.virtual_memory().available) + (int(psutil.swap_memory().free) if swap else 0)
    return max(1, min([free, *_of_groups(), *_of_limit(psutil.Process().memory_info().vms)]))


def suffices(need: float) -> bool:
    """Whether so many more bytes can be had, with swap; True where nobody tells."""
    if need <= ALWAYS:
        return True
    free = free_memory(swap=True)
    return not free or need <= free


def insist(need: float, what: str, advice: str) -> None:
    """Raise MemoryShort if so many more bytes are needed than there are, with swap. what: the beginning of a sentence, as
    "Segmenting x"; advice: what to do besides closing other programs."""
    if suffices(need):
        return
    free = free_memory(swap=True)
    raise MemoryShort(
        f"{what} needs about {size(need)} of memory, of which {size(free)} are free. Close other programs, or {advice}.",
        need=int(need),
        free=free,
    )


def size(count: float) -> str:
    """Bytes for people: "1.2 GB"."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{max(1.0, count / 1e6):.0f} MB"


def _of_groups() -> list[int]:
    """What the control groups of this process leave it, from its own up to the root; none where there are none."""
    try:
        lines = _OWN.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return []
    left = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        for below, limit, used in _FILES:
            if (controllers == "" and below == "") or (below and below in controllers.split(",")):
                root = _GROUPS / below
                folder = root / place.lstrip("/")
                while folder == root or root in folder.parents:
                    left += _left(folder, limit, used)
                    folder = folder.parent
    return left


def _left(folder: Path, limit: str, used: str) -> list[int]:
    """Limit less use of one group, if it has a limit; what it keeps of files that can go counts as free."""
    try:
        most, now = int((folder / limit).read_text()), int((folder / used).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # "max"
        return []
    files = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return [max(0, most - now + files)]


def _of_limit(taken: int) -> list[int]:
    """What the limit of the address space leaves; none where there is none."""
    try:
        import resource
    except ImportError:  # Windows
        return []
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return [] if limit == resource.RLIM_INFINITY else [max(0, limit - taken)]
