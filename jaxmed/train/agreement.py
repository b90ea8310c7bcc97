"""One answer for all processes of a run: the first one looks, the others hear from it."""

import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxmed.train import checkpoint_errors


def ask_first(question: Callable[[], Any]) -> Any:
    """Calls `question` on the first process only and gives its answer, or its error, on all.

    With more than one process, all of them must call this at the same place: it is a collective. What
    stands on a shared disk can look different from two hosts; an answer that travels cannot.

    Args:
        question: called without arguments; its answer must survive JSON.

    Returns:
        The answer.

    Raises:
        CheckpointError: on every process, if `question` raised one.
    """
    if jax.process_count() == 1:
        return question()
    reply = json.loads(_broadcast(_reply(question) if jax.process_index() == 0 else ""))
    if "error" in reply:
        raise getattr(checkpoint_errors, reply["kind"])(reply["error"])
    return reply["answer"]


def _reply(question: Callable[[], Any]) -> str:
    try:
        return json.dumps({"answer": question()})
    except checkpoint_errors.CheckpointError as error:
        return json.dumps({"error": str(error), "kind": type(error).__name__})


def _broadcast(text: str) -> str:
    content = np.frombuffer(text.encode(), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(content.size)))
    if jax.process_index() != 0:
        content = np.zeros(size, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(content)).astype(np.uint8).tobytes().decode()
