"""Row 10: two replicas restarted in turn under load cost no call, and stop in time."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

from bench.chaos.deployment import Deployment
from bench.chaos.figure import Figure
from shortlist import Client


def restarts(deployment: Deployment, releases: Path, scratch: Path, count: int) -> Iterator[Figure]:
    """Yields the figures of row 10; the replicas share the Triton of the deployment."""
    flags = ("--triton", deployment.triton, "--model-repository", str(scratch / "models"))
    replicas = [Deployment.start(releases, scratch / f"replica{n}", *flags, command="serve") for n in range(2)]
    addresses = [replica.address for replica in replicas]
    done, errors, answered = threading.Event(), [], [0, 0]

    def call(number: int) -> None:
        with Client(f"ipv4:{','.join(addresses)}", deadline_s=5.0) as client:
            while not done.wait(0.02):
                try:
                    client.recommend("earl grey tea", k=3)
                    answered[number] += 1
                except Exception as error:  # whatever it is, the caller got no answer, and has to go on
                    errors.append(str(error))

    callers = [threading.Thread(target=call, args=(number,)) for number in range(2)]
    for caller in callers:
        caller.start()
    slowest_s, statuses = 0.0, set()
    try:
        for number in range(count):
            place = number % 2
            status, seconds = replicas[place].stop()
            statuses.add(status)
            slowest_s = max(slowest_s, seconds)
            again = (*flags, "--listen", addresses[place])
            replicas[place] = Deployment.start(releases, scratch / f"replica{place}", *again, command="serve")
            asyncio.run(asyncio.sleep(1.0))  # as minReadySeconds of a Deployment
    finally:
        done.set()
        for caller in callers:
            caller.join()
        for replica in replicas:
            replica.stop()
    yield Figure(10, f"calls answered over {count} restarts", sum(answered), least=1)
    yield Figure(10, "errors", len(errors), most=0)
    yield Figure(10, "slowest stop, s", slowest_s, most=10)
    yield Figure(10, "stops with another exit status than 0", len(statuses - {0}), most=0)
