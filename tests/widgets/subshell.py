"""A notebook kernel, and a reader who moves a slider in it while a cell runs, as JupyterLab does: its messages
about widgets go to a subshell, which is another thread of the kernel."""

import queue
import time

from jupyter_client.manager import start_new_kernel

WAIT = 120  # seconds for an answer of a kernel on a busy machine


class Kernel:
    """A kernel with a subshell: `with Kernel() as kernel`."""

    def __enter__(self):
        self.manager, self.client = start_new_kernel(cwd=".")
        features = self.client.kernel_info(reply=True, timeout=WAIT)["content"].get("supported_features", [])
        self.has_subshells = "kernel subshells" in features
        if self.has_subshells:
            sent = self.client.session.msg("create_subshell_request")
            self.client.control_channel.send(sent)
            self.subshell = self.client.get_control_msg(timeout=WAIT)["content"]["subshell_id"]
        return self

    def __exit__(self, *_):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def move(self, comm: str, value, subshell: bool = True) -> None:
        """Move the slider whose comm is `comm`, as a front end does; its message goes to the subshell or not."""
        data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        if subshell:
            message["header"]["subshell_id"] = self.subshell
        self.client.shell_channel.send(message)

    def run(self, code: str, begun: str = "", then=None) -> str:
        """Run a cell and return what it printed; once it has printed `begun`, call `then` every 200 ms until it
        ends."""
        sent = self.client.execute(code)
        text = ""
        deadline = time.monotonic() + WAIT
        called = 0.0
        while (now := time.monotonic()) < deadline:
            active = bool(begun) and begun in text
            if active and now - called > 0.2:
                called = now
                then()
            try:
                message = self.client.get_iopub_msg(timeout=0.05 if active else 1.0)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != sent:
                continue
            content = message["content"]
            text += content.get("text", "") + "\n".join(content.get("traceback", []))
            if content.get("execution_state") == "idle":
                return text
        raise TimeoutError(f"the cell has not ended; it printed {text!r}")
