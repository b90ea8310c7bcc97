"""One of several processes that only meet: `hosts_worker.py <folder> <what> [<coordinator> <n> <i>]`."""

import sys
import time
from pathlib import Path

import jax

from jaxmed.train import hosts

folder, what, *addresses = sys.argv[1:]
given = hosts.Hosts(connect_seconds=2 if what == "alone" else 60, heartbeat_seconds=3)
if addresses:
    given = hosts.Hosts(addresses[0], int(addresses[1]), int(addresses[2]), given.connect_seconds, 3)
hosts.initialize(given)
if what == "leaves" and addresses[2] == "1":
    hosts.leave(2)
hosts.barrier("start")
with hosts.main_first("a file"):
    file = Path(folder) / "written"
    if hosts.is_main_process():
        time.sleep(0.3)
        file.write_text("once")
    print("process", jax.process_index(), "of", jax.process_count(), "reads", file.read_text(), flush=True)
hosts.leave(0)
