"""Starting one run on several processes: on this machine, or on a cluster by the scripts beside this file."""
