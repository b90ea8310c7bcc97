"""Whether two processes that train alike end with the same bits, as they come and with --deterministic.

python -m benchmarks.repeatability --steps 20 --output repeatability.json

Each process trains fbpaug's network of the demo on one batch of random images, convolutions and pooling with
their gradients included, and gives a digest of all parameters.
"""

import argparse
import functools
import hashlib
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20, help="training steps of each process")
    parser.add_argument("--size", type=int, default=96, help="side of the images in pixels")
    parser.add_argument("--processes", type=int, default=2, help="how many are compared")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    return parser.parse_args()


def train(num_steps: int, size: int, *, deterministic: bool) -> str:
    """Trains in this process, which has not used a device yet, and digests the parameters."""
    from jaxmed.train import host

    if deterministic:
        host.make_deterministic()
    import jax
    import numpy as np
    import optax

    from jaxmed.algorithms.supervised import supervised
    from jaxmed.losses import cross_entropy
    from jaxmed.models.residual_unet import ResidualUNet
    from jaxmed.train import fit, mesh

    numbers = np.random.default_rng(0).standard_normal((2, 8, size, size, 1), np.float32)
    batch = {"image": numbers[0], "label": (numbers[1] > 0).astype(np.float32)}
    algorithm = supervised(
        ResidualUNet((8, 8, 16, 32, 64)),
        optax.adam(1e-3),
        prepare=lambda batch, key: (batch["image"], batch["label"]),
        loss=cross_entropy.binary_cross_entropy,
    )
    devices = mesh.make_mesh(devices=jax.local_devices()[:1])
    key = jax.random.key(0)
    state = jax.jit(algorithm.init)(key, batch)
    step = fit.compile_step(algorithm, devices)
    for _ in range(num_steps):
        state, _ = step(state, batch, key)
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(state.net.params):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:16]


def main() -> None:
    """Compares, prints and writes the file."""
    from experiments.verbs import provenance

    arguments = parse_arguments()
    context, found = multiprocessing.get_context("spawn"), {}
    for name, deterministic in (("as it comes", False), ("deterministic", True)):
        run = functools.partial(train, arguments.steps, arguments.size, deterministic=deterministic)
        digests = []
        for _ in range(arguments.processes):
            with ProcessPoolExecutor(1, context) as process:
                digests.append(process.submit(run).result())
        found[name] = digests
        print(f"{name}: {'equal' if len(set(digests)) == 1 else 'different'} bits ({', '.join(digests)})")
    if arguments.output:
        results: dict[str, Any] = {**provenance.describe(), "steps": arguments.steps, "digests": found}
        arguments.output.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
