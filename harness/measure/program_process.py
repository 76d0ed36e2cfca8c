"""Runs a program once and measures it. This file is started as a script of its own, without any package.

``python -I -S program_process.py LIMIT STDOUT STDERR VARIABLES NAME VALUE ... WORD ...`` starts a program with these
words as a fresh process, blocks until it ends, and prints one line of numbers:

    wall ns, user s, system s, peak bytes, preemptions, wait status, ended by the limit (0 or 1),
    left processes running (0 or 1), own peak bytes

The kernel counts the memory of the process that starts a program as memory of the program, until the program begins. A
process that has imported numpy or torch would hide the peaks of small programs, so this one imports little. Its own
peak is the smallest that can be measured. Nothing polls: the kernel's timer ends a program that takes longer than LIMIT
seconds. If the standard input is closed, because the harness has ended or was stopped, the program is killed.
"""

import _thread
import os
import signal
import sys
import time


def kill_group(leader: int) -> bool:
    """Kill every process of a group. Returns whether there was any."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def own_peak() -> int:
    """The peak memory of this process in bytes, without what its parent had."""
    with open("/proc/self/status", "rb") as status:  # noqa: PTH123  # pathlib takes a megabyte
        for line in status:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


class Run:
    """One run of a program."""

    def __init__(self, limit: float) -> None:
        self.limit, self.leader, self.over_limit, self.stopped = limit, 0, False, False

    def end_with_input(self) -> None:
        """Wait until the standard input is closed, and kill the program."""
        while os.read(0, 1):
            pass
        self.stopped = True
        if self.leader:
            kill_group(self.leader)
            os._exit(1)

    def on_alarm(self, *_: object) -> None:
        """The program has reached its limit of time."""
        self.over_limit = True
        kill_group(self.leader)

    def measure(self, words: list[str], variables: dict[str, str], stdout: str, stderr: str) -> str:
        """The numbers of a run. Raises OSError if the program cannot be started."""
        write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, stdout, write, 0o644),
            (os.POSIX_SPAWN_OPEN, 2, stderr, write, 0o644),
        ]
        signal.signal(signal.SIGALRM, self.on_alarm)
        environment = {**os.environ, **variables}
        begin = time.perf_counter_ns()
        self.leader = os.posix_spawnp(words[0], words, environment, file_actions=files, setpgroup=0)
        signal.setitimer(signal.ITIMER_REAL, self.limit)
        if self.stopped:
            kill_group(self.leader)
            os._exit(1)
        _, status, usage = os.wait4(self.leader, 0)
        wall = time.perf_counter_ns() - begin
        signal.setitimer(signal.ITIMER_REAL, 0)
        left = kill_group(self.leader)
        numbers = (
            wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024, usage.ru_nivcsw, status,
            int(self.over_limit), int(left), own_peak(),
        )  # fmt: skip
        return " ".join(map(str, numbers))


def main() -> None:
    """Measure the program that the arguments name. Prints "cannot start" and an error number if there is none."""
    limit, stdout, stderr, count, *rest = sys.argv[1:]
    pairs, words = rest[: 2 * int(count)], rest[2 * int(count) :]
    run = Run(float(limit))
    _thread.start_new_thread(run.end_with_input, ())
    try:
        print(run.measure(words, dict(zip(pairs[::2], pairs[1::2], strict=True)), stdout, stderr), flush=True)
    except OSError as error:
        print(f"cannot start {error.errno}", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
