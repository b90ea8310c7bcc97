import threading
import time

import numpy as np
import pytest

from data_pipelines.executors.batch_filler import BatchFiller
from data_pipelines.executors.daemon_pool import PoolClosedError

SPEC = {"index": ((), np.dtype(np.int64))}


@pytest.mark.parametrize(
    ("batch_size", "num_threads", "prefetch", "num_parts"),
    [(4, 2, 2, 1), (4, 2, 1, 2), (5, 16, 2, 5), (32, 16, 2, 8), (7, 3, 1, 3), (1, 8, 1, 1)],
)
def test_batches_are_cut_into_as_few_parts_as_keep_all_threads_at_work(
    batch_size, num_threads, prefetch, num_parts
):
    filler = BatchFiller(
        lambda counter: {"index": np.array(counter)}, SPEC, batch_size, num_threads, prefetch=prefetch
    )
    pending = filler.begin(3)
    assert len(pending.parts) == num_parts
    batch = filler.finish(pending)["index"]
    assert batch.tolist() == list(range(3 * batch_size, 4 * batch_size))
    assert not batch.flags.writeable
    filler.close()


def test_closing_ends_the_loading_of_a_part_after_the_example_under_way():
    calls, begun, release = [], threading.Event(), threading.Event()

    def fetch(counter):
        calls.append(counter)
        begun.set()
        release.wait(20)
        return {"index": np.array(counter)}

    filler = BatchFiller(fetch, SPEC, 8, 1, prefetch=1)
    pending = filler.begin(0)
    assert begun.wait(10)
    filler.close()
    release.set()
    with pytest.raises(PoolClosedError):
        filler.finish(pending)
    time.sleep(0.1)
    assert calls == [0]
