import os
import signal
import subprocess
import sys
import time

from server.triton import launcher

LAUNCH = [sys.executable, "-I", "-S", launcher.__file__]


def test_the_program_gets_its_arguments_and_exactly_the_given_environment():
    answer = subprocess.run(
        [*LAUNCH, str(os.getpid()), "A=1", "B=x=y", "--", "/usr/bin/env"], capture_output=True, text=True, check=True
    )
    assert sorted(answer.stdout.split()) == ["A=1", "B=x=y"]


def test_it_does_not_start_anything_for_a_parent_that_is_gone():
    answer = subprocess.run([*LAUNCH, "1", "--", "/bin/echo", "started"], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "the parent process 1 is gone" in answer.stderr
    assert answer.stdout == ""


def test_a_program_that_is_not_there():
    command = [*LAUNCH, str(os.getpid()), "--", "/no/such/program"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "cannot run /no/such/program" in answer.stderr


def test_the_program_is_killed_with_its_parent():
    parent = f"""
import os, subprocess, sys, time
child = subprocess.Popen({LAUNCH!r} + [str(os.getpid()), "--", "/bin/sleep", "60"])
while open(f"/proc/{{child.pid}}/comm").read() != "sleep\\n":
    time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        child_pid = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
    end = time.monotonic() + 5
    while is_alive(child_pid):
        assert time.monotonic() < end, "the child outlived its parent"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False
