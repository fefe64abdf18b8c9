"""A headless Chromium, driven by its DevTools protocol over a pipe."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = "no Chromium (Debian: apt-get install chromium)"
_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-extensions --disable-background-networking "
    "--disable-dev-shm-usage --hide-scrollbars --remote-debugging-pipe"
)
_PATIENCE_S = 30.0


class Browser:
    """One page of a headless browser; everything that its console says is kept."""

    def __init__(self, folder: Path, width: int = 1280, height: int = 1000) -> None:
        assert CHROMIUM is not None, MISSING
        # The protocol's pipe: the browser reads from descriptor 3 and writes to 4.
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        words = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", words, CHROMIUM, *_FLAGS.split(), f"--user-data-dir={folder}",
             f"--window-size={width},{height}"],
            pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._session: str | None = None
        self.console: list[str] = []
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for name in ("Page", "Runtime", "Log"):
            self._send(f"{name}.enable")
        self._send("Emulation.setFocusEmulationEnabled", enabled=True)
        self.resize(width, height)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def open(self, address: str) -> None:
        self._send("Page.navigate", url=address)

    def value(self, expression: str) -> Any:
        """Returns the value of an expression in the page."""
        answer = self._send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Waits until an expression in the page is true."""
        started = time.monotonic()
        while not self.value(f"!!({expression})"):
            assert time.monotonic() - started < _PATIENCE_S, f"never true: {expression}; console: {self.console}"
            time.sleep(0.05)

    def type(self, selector: str, text: str) -> None:
        """Types into a field as a person does: it gets the focus, and events for what changes."""
        self.value(f"(document.querySelector({json.dumps(selector)}).focus(), "
                   f"document.querySelector({json.dumps(selector)}).select())")  # fmt: skip
        self._send("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Clicks the middle of an element with the mouse."""
        box = self.value(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); "
            "one.scrollIntoView({block: 'center'}); "
            "const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._send("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def set(self, selector: str, value: float | str) -> None:
        """Moves a slider, or chooses of a list."""
        self.value(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); one.value = {json.dumps(value)}; "
            "one.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )

    def picture(self, path: Path) -> None:
        """Takes a picture of the whole page."""
        answer = self._send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def resize(self, width: int, height: int) -> None:
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def dark(self) -> None:
        """Prefers a dark page."""
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        self._send("Emulation.setEmulatedMedia", features=features)

    def _send(self, method: str, **params: object) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        """Keeps what the console and the log say."""
        params = event.get("params", {})
        if event.get("method") == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(one.get("value")) for one in params["args"]))
        elif event.get("method") == "Runtime.exceptionThrown":
            self.console.append(str(params["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded":
            self.console.append(params["entry"]["text"])

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], _PATIENCE_S)
            assert ready, "the browser says nothing"
            part = os.read(self._read, 1 << 20)
            assert part, "the browser ended"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer
