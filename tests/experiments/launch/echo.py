"""Says what it was given, then ends as asked (`ends <code>...`, a code per process) or waits for a signal."""

import os
import signal
import sys
import time

arguments = sys.argv[1:]
process = int(arguments[arguments.index("--hosts.process-id") + 1])


def heard(number, frame):
    print("heard", signal.Signals(number).name, flush=True)
    if arguments[0] == "obeys":
        sys.exit(0)


signal.signal(signal.SIGTERM, heard)
signal.signal(signal.SIGINT, heard)
print("arguments", *arguments)
print("environment", os.environ.get("JAX_PLATFORMS"), os.environ.get("XLA_FLAGS"))
if arguments[0] == "ends":
    print("no end of line", end="", file=sys.stderr)
    time.sleep(0.3 * process)
    sys.exit(int(arguments[1 + process]))
if arguments[0] == "one-fails" and process == 1:
    sys.exit(7)
time.sleep(600)
