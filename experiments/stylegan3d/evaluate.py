"""Scores of Table 2, ventricles, projection and mixed styles."""

import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from data_pipelines.head_study import HeadStudy, to_range
from data_pipelines.readers.errors import ReadError
from experiments.contract import Data, Scores
from experiments.stylegan3d import algorithm
from experiments.stylegan3d.config import Config, Evaluation
from experiments.stylegan3d.data import example_batch, large_ventricles
from jaxmed.algorithms import latent_projection
from jaxmed.algorithms.slice_classes import score_slices
from jaxmed.deploy import bundle
from jaxmed.metrics import distributions, volume_sets
from jaxmed.metrics.ventricles import ventricle_ml
from jaxmed.models.feature_network import FeatureNetwork, random_features, user_features
from jaxmed.ops.styles import mix_styles

PLANES = ("Sag", "Ax", "Cor")
"""Planes across the three axes of the grid."""

FRECHET = {plane: f"FD-{plane}, random network 0" for plane in PLANES}
"""Names of the Frechet distances, which say what gave the features; another network has its own beside."""

ACCURACY = {"place": "accuracy, plane and place", "label": "accuracy, ventricles"}
"""What a feature network tells right of slices of unseen heads."""

_RANGE = 2.0
_SIGMA = 2.0


def evaluate(config: Config, state, data: Data) -> Scores:
    """What the config's study finds.

    - samples, real: "bMMD2" by batch and "MS-SSIM" by pair, `FRECHET` and as "KD" kernel distances of the
      middle slices to those of the unseen heads, and "ventricles, ml" by head; for real also "ventricles of
      labels, ml" of phantoms.
    - features: `ACCURACY` by unseen head.
    - parameters: "parameters, millions" of both networks.
    - projection: "MSE" of reconstructed unseen heads, voxels in [-1, 1].
    - mixing: "coarse change" and "fine change", the root mean squares of what an exchange of styles changes
      beyond a Gaussian filter of two voxels and below it, and "fine share" of the second in their sum.
    """
    study: HeadStudy = data.evaluation
    if config.study == "features":
        return tell_slices(config, state, study)
    if config.study == "parameters":
        return {"parameters, millions": {"all": count_parameters(config) / 1e6}}
    if config.study == "projection":
        return {"MSE": projection_errors(config, state, study)}
    if config.study == "mixing":
        return mixing_changes(config, state)
    unseen, count = study.images(study.test), config.evaluation.num_generated
    if config.study == "samples":
        return compare(config, algorithm.make_sampler(config, state).draw(count), unseen)
    shown = study.train[:count]
    scores, exact = compare(config, study.images(shown), unseen), study.ventricles_ml(shown)
    return {**scores, "ventricles of labels, ml": exact} if exact else scores


def tell_slices(config: Config, state, study: HeadStudy) -> Scores:
    """How much a feature network knows of unseen heads, by head."""
    labels, network = large_ventricles(config, study), algorithm.make_feature_network(config)
    heads = ((study.arrays[case]["image"][..., None], labels[case]) for case in study.test)
    shares = score_slices(network, state.net.variables, algorithm.SLICE_CLASSES, to_range, heads)
    return {name: dict(zip(study.test, shares[key].tolist(), strict=True)) for key, name in ACCURACY.items()}


def count_parameters(config: Config) -> int:
    """Trainable numbers of generator and discriminator, by shapes alone."""
    init = algorithm.make_algorithm(config, None).init
    state: Any = jax.eval_shape(init, jax.random.key(0), example_batch(config))
    return sum(leaf.size for leaf in jax.tree.leaves((state.generator.params, state.discriminator.params)))


def compare(config: Config, volumes: np.ndarray, unseen: np.ndarray) -> dict[str, dict[str, float]]:
    """Scores of volumes (n, *shape, 1) in [-1, 1] beside those of unseen heads."""
    chosen, count = config.evaluation, min(len(volumes), len(unseen))
    batch_size = min(chosen.batch_size, count)
    options = {"data_range": _RANGE, "window_size": chosen.window}
    measured = [ventricle_ml((one[..., 0] + 1) / 2, config.networks.voxel_mm) for one in volumes]
    values = {
        "bMMD2": distributions.batch_mmd_squared(volumes[:count], unseen[:count], batch_size),
        "MS-SSIM": volume_sets.pair_similarities(volumes, chosen.num_pairs, **options),
        "ventricles, ml": measured,
    }
    scores = {name: _by_number(of_each) for name, of_each in values.items()}
    for name, features in feature_networks(chosen).items():
        distances = volume_sets.slice_distances(volumes, unseen, PLANES, features)
        scores |= {f"{kind}, {name}": {"all": distance} for kind, distance in distances.items()}
    return scores


@functools.lru_cache(maxsize=4)
def feature_networks(chosen: Evaluation) -> dict[str, Any]:
    """Functions from slices to features: of random weights and, where others are named, of these.

    Raises:
        ReadError: the weights are of no feature network of these widths (OSError: there is no file).
    """
    widths, path = chosen.feature_widths, Path(chosen.feature_weights)
    found = [random_features(FeatureNetwork(widths=widths), (16, 16, 1))]
    try:
        if chosen.feature_weights:
            arrays, about = bundle.read_weights(path)
            own = FeatureNetwork(arrays.get("params/head/bias", np.zeros(2)).size, widths)
            origin = f"trained on slices of {about.get('data')}, seed {about.get('seed')}"
            name = f"network {origin if about else path.name}"
            found.append(user_features(own, (16, 16, 1), arrays, name))
    except ValueError as error:
        raise ReadError(path, str(error), f"a feature network of widths {widths}") from error
    return {one.name: functools.partial(jax.jit(one.apply), one.variables) for one in found}


def projection_errors(config: Config, state, study: HeadStudy) -> dict[str, float]:
    """Mean squared error by unseen head; with "mean style" that of the mean of the training heads."""
    cases = study.test[: config.evaluation.num_projected]
    targets = study.images(cases)
    images = np.broadcast_to(study.images(study.train).mean(axis=0), targets.shape)
    if config.projected != "mean style":
        images = np.asarray(project(config, state, targets).images)
    errors = np.square(images - targets).mean(axis=(1, 2, 3, 4))
    return dict(zip(cases, errors.tolist(), strict=True))


def project(config: Config, state, targets: np.ndarray, progress=None) -> latent_projection.Projection:
    """Finds styles, and unless the config has "style", noise of volumes (n, *shape, 1) in [-1, 1]."""
    chosen = config.evaluation
    search = latent_projection.Search(
        num_steps=chosen.projection_steps,
        coarse_factor=chosen.coarse_factor,
        with_noise=config.projected != "style",
    )
    return algorithm.make_sampler(config, state).project(targets, search, progress=progress)


def mixing_changes(config: Config, state) -> Scores:
    """What heads change by when the coarse or the fine layers take the styles of others."""
    sampler, count = algorithm.make_sampler(config, state), config.evaluation.num_mixed
    own, other = (sampler.draw_styles(count, seed=seed) for seed in (1, 2))
    pair = (other, own) if config.mixed == "coarse" else (own, other)
    styles = own, mix_styles(*pair, config.evaluation.crossover)
    before, after = (sampler.synthesise(one)[..., 0] for one in styles)
    changes = volume_sets.change_by_scale(before, after, _SIGMA)
    return {name: _by_number(of_each) for name, of_each in changes.items()}


def _by_number(values: Any) -> dict[str, float]:
    return {str(number): float(value) for number, value in enumerate(values)}
