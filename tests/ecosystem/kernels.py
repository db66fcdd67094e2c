"""A real ipykernel in a process of its own, driven as a notebook drives it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from ecosystem.children import WAIT_S


@dataclass
class Said:
    """What came of one cell: its output, the text of its warnings, the name of its exception."""

    out: str = ""
    err: str = ""
    value: str = ""
    error: str = ""
    status: str = ""


class Kernel:
    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self._client: Any = None
        self.connect()

    def connect(self) -> None:
        """To the process that runs now."""
        if self._client is not None:
            self._client.stop_channels()
        self._client = self.manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=WAIT_S)

    @property
    def pid(self) -> int:
        pid: int = self.manager.provisioner.pid
        return pid

    def run(self, cell: str, on_output: Callable[[str], object] | None = None) -> Said:
        """Run *cell* to its end; *on_output* hears of what it prints at once."""
        asked = self._client.execute(cell, store_history=False)
        said = Said()
        deadline = time.monotonic() + WAIT_S
        while True:
            message = self._client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream" and content["name"] == "stdout":
                said.out += content["text"]
                if on_output is not None:
                    on_output(said.out)
            elif kind == "stream":
                said.err += content["text"]
            elif kind == "execute_result":
                said.value = content["data"]["text/plain"]
            elif kind == "error":
                said.error = content["ename"]
            elif kind == "status" and content["execution_state"] == "idle":
                break
        reply = self._client.get_shell_msg(timeout=WAIT_S)
        while reply["parent_header"].get("msg_id") != asked:
            reply = self._client.get_shell_msg(timeout=WAIT_S)
        said.status = reply["content"]["status"]
        return said

    def shut_down(self) -> None:
        self._client.shutdown()

    def close(self) -> None:
        self._client.stop_channels()


@contextmanager
def running_kernel(stderr: Path) -> Generator[Kernel, None, None]:
    """A kernel, which ends with status 0 when it is told to, and has said nothing on its stderr, which goes to a file."""
    manager = KernelManager(kernel_name="python3")
    with stderr.open("wb") as file:
        manager.start_kernel(stderr=file)
        try:
            kernel = Kernel(manager)
            try:
                yield kernel
                process: Any = manager.provisioner.process
                kernel.shut_down()
                assert process.wait(WAIT_S) == 0
            finally:
                kernel.close()
        finally:
            manager.shutdown_kernel(now=True)
    said = [line for line in stderr.read_text().splitlines() if "running over TCP without encryption" not in line]
    assert said == []
