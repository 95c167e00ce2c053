"""The first thing in a process of the demonstration: end with the parent, then be the command.

``python -m oneteam.app.demo.child PARENT COMMAND...``. The kernel sends SIGTERM when the parent is gone, however it went; so nothing is
left behind when the demonstration itself is killed. Elsewhere than on Linux only an orderly end stops the processes.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Run ``oneteam`` with the arguments after the parent's process id."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(1)
    sys.argv = ["oneteam", *command]
    runpy.run_module("oneteam", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
