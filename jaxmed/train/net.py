"""The state of one network, and the one gradient move that every algorithm is made of."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import optax
from flax import struct

from jaxmed.ops import collectives
from jaxmed.types import Leaf, PyTree


@struct.dataclass
class NetState:
    """Arrays of one trainable network: no functions, no optimizer objects.

    Attributes:
        params: trainable parameters.
        batch_stats: running statistics of normalisation layers; empty where there are none.
        opt_state: state of the optimizer over `params`.
    """

    params: PyTree
    batch_stats: PyTree
    opt_state: PyTree

    @property
    def variables(self) -> dict[str, PyTree]:
        """What `model.apply` takes: parameters and running statistics."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def init_net(
    model: nn.Module, optimizer: optax.GradientTransformation, key: jax.Array, *inputs: Leaf
) -> NetState:
    """Makes the state of `model`.

    Args:
        model: a module called as `model(*inputs, train=...)`.
        optimizer: updates the parameters.
        key: key of the initial parameters.
        *inputs: example inputs; only their shapes and dtypes matter.

    Returns:
        The initial state.
    """
    variables = model.init(key, *inputs, train=False)
    params = variables["params"]
    return NetState(
        params=params, batch_stats=variables.get("batch_stats", {}), opt_state=optimizer.init(params)
    )


def apply_train(model: nn.Module, params: PyTree, batch_stats: PyTree, *inputs: Leaf, **kwargs: Any):
    """Calls `model` in training mode.

    Returns:
        The outputs and the updated running statistics.
    """
    variables = {"params": params, "batch_stats": batch_stats}
    outputs, mutated = model.apply(variables, *inputs, train=True, mutable=["batch_stats"], **kwargs)
    return outputs, mutated.get("batch_stats", {})


def update_net(
    net: NetState, optimizer: optax.GradientTransformation, loss_fn: Callable, *args: Any
) -> tuple[NetState, jax.Array, Any]:
    """Takes one optimizer step on `net`.

    Where the step runs as one program per device, gradients, loss and running statistics are averaged
    over the devices here and nowhere else: normalisation uses each device's own batch.

    Args:
        net: the network's state.
        optimizer: the transformation that made `net.opt_state`.
        loss_fn: `loss_fn(params, batch_stats, *args) -> (loss, (batch_stats, aux))`, the loss a mean
            over the batch that it is given.
        *args: passed on to `loss_fn`.

    Returns:
        The new state, the loss, and `aux` as `loss_fn` gave it.
    """
    grad_fn = jax.value_and_grad(loss_fn, has_aux=True)
    (loss, (batch_stats, aux)), grads = grad_fn(net.params, net.batch_stats, *args)
    loss, batch_stats, grads = collectives.mean_over_devices((loss, batch_stats, grads))
    updates, opt_state = optimizer.update(grads, net.opt_state, net.params)
    params = optax.apply_updates(net.params, updates)
    return NetState(params=params, batch_stats=batch_stats, opt_state=opt_state), loss, aux


def transfer(trained: PyTree, fresh: PyTree, *, but: str) -> PyTree:
    """Takes trained parameters for a network that differs in one part, such as its head.

    Args:
        trained: nested dicts of parameters.
        fresh: the same names; shapes may differ below `but`.
        but: name of the part that stays fresh, wherever it stands.

    Returns:
        The parameters of `trained`, and those of `fresh` below `but`.
    """

    def choose(path, new, old):
        return new if any(getattr(key, "key", None) == but for key in path) else old

    return jax.tree_util.tree_map_with_path(choose, fresh, trained)
