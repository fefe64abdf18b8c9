"""Replicas of a gateway that are restarted under load; their Triton is somebody else's."""

import asyncio
import threading
import time
from collections import Counter
from pathlib import Path

from server.app import Gateway
from server.settings import load_configuration
from shortlist import Client, ShortlistCallError


class Replicas:
    """Gateways on a loop of their own, each on a port and in a state folder that it keeps over its restarts."""

    def __init__(self, count, state, **flags):
        self._flags = {"listen": "127.0.0.1:0", "metrics_listen": "127.0.0.1:0", **flags}
        self._states = [{"state": str(Path(state) / str(place))} for place in range(count)]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._gateways = [self._run(self._open({**self._flags, **own})) for own in self._states]
        self.addresses = [gateway.address for gateway in self._gateways]

    def restart(self, place):
        """Stops a replica as SIGTERM does, and starts it again."""
        self._run(self._gateways[place].aclose())
        own = {**self._states[place], "listen": self.addresses[place]}
        self._gateways[place] = self._run(self._open({**self._flags, **own}))
        time.sleep(1.0)  # as minReadySeconds of a Deployment

    def close(self):
        for gateway in self._gateways:
            self._run(gateway.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @staticmethod
    async def _open(flags):
        gateway = Gateway(load_configuration(None, {}, flags).settings)
        await gateway.open()
        return gateway

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(120)


class Caller:
    """A client that calls without end in a thread, and counts outcomes by code."""

    def __init__(self, address, pause_s=0.02, **settings):
        self.outcomes = Counter()
        self.errors = []
        self._client = Client(address, deadline_s=5.0, **settings)
        self._pause_s = pause_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()

    def _call(self):
        while not self._stop.is_set():
            try:
                self._client.recommend("earl grey tea", k=3)
                self.outcomes["OK"] += 1
            except ShortlistCallError as error:
                self.outcomes[error.code] += 1
                self.errors.append(str(error))
            time.sleep(self._pause_s)

    def close(self):
        self._stop.set()
        self._thread.join(10)
        self._client.close()
