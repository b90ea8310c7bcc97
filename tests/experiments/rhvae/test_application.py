"""What users do: draw, train with their own images and with generated ones, export, check a folder."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.readers.errors import ReadError
from data_pipelines.readers.labelled_npz import read_labelled
from experiments.__main__ import main
from experiments.rhvae import application, config, data, evaluate, generative, run, tables
from jaxmed.algorithms import manifold_sampling

OWN = dataclasses.replace(config.PRESETS["tiny"], source="folder", num_classes=3, method="vae")


def make_state(own):
    """Models that are not trained, and latents."""
    model, count = generative.make_model(own), data.num_models(own)
    images = jnp.zeros((1, *own.image_shape, 1))
    init = jax.jit(jax.vmap(lambda key: model.init(key, images, train=False)["params"]))
    z = jax.random.normal(jax.random.key(1), (count, own.num_samples, own.generator.num_latents))
    return run.StudyState(0, init(jax.random.split(jax.random.key(0), count)), z, 1.0, {}, {})


def write_own(folder, count=20):
    """Images of three classes: a bright half above, below or on the left."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 90, (3 * count, 8, 8), dtype=np.uint8)
    images[:count, :4] += 150
    images[count : 2 * count, 4:] += 150
    images[2 * count :, :, :4] += 150
    folder.mkdir()
    np.savez(folder / "own.npz", allow_pickle=False, data=images, targets=np.repeat([0.0, 1.0, 2.0], count))
    return folder


def train(folder, tmp_path, method):
    options = ["--source", "folder", "--num-classes", "3", "--data-dir", str(folder), "--method", method]
    # Ten images of a class are needed to split it.
    options += ["--num-samples", "10", "--sampler.max-samples", "10"]
    place = ["--workdir", str(tmp_path / "runs"), "--mesh.data", "1"]
    return main(["train", "rhvae", "tiny", *options, *place])


def test_without_a_run_raw_images_are_drawn(tmp_path):
    files = application.sample(config.PRESETS["tiny"], None, None, tmp_path)
    assert len(files) == 6 and all(file.exists() for file in files)
    found = read_labelled(tmp_path / "balanced" / "raw" / "images.npz")
    assert np.bincount(found.labels).tolist() == [5] * 10
    files = application.sample(OWN, None, write_own(tmp_path / "own"), tmp_path)
    assert {file.relative_to(tmp_path).as_posix() for file in files} == {
        "images/raw/images.png",
        "images/raw/images.npz",
    }


def test_own_images_have_the_columns_of_their_table(tmp_path):
    rows = tables.TABLES["images"].rows(OWN)
    assert {row.configs[0].source for row in rows} == {"folder"}
    assert [row.label for row in rows] == [row.label for row in tables.TABLES["table2"].rows(OWN)]
    own = rows[0].configs[0]
    found = data.make_data(own, seed=0, data_dir=write_own(tmp_path / "own"), cache_dir=tmp_path)
    state = jax.eval_shape(functools.partial(run.init_state, own), jax.random.key(0))
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)
    scores = evaluate.evaluate(own, state, found)
    assert set(tables.TABLES["images"].metrics) <= set(scores)


def test_a_run_gives_as_many_images_of_each_class_as_it_was_trained_with(tmp_path):
    # Ten images of a class are needed to split it.
    own = dataclasses.replace(OWN, num_samples=10, sampler=dataclasses.replace(OWN.sampler, max_samples=10))
    state = make_state(own)
    files = application.sample(own, state, None, tmp_path)
    assert [file.name for file in files] == ["images.png", "images.npz"]
    made = tmp_path / "images" / "generated"
    found = read_labelled(made / "images.npz")
    assert np.bincount(found.labels).tolist() == [own.num_samples] * 3
    decoded = manifold_sampling.decode(generative.make_model(own), state.generators, state.latents)
    np.testing.assert_array_equal(found.images, decoded.reshape(found.images.shape))
    opened = data.make_data(own, seed=0, data_dir=made, cache_dir=tmp_path / "cache")
    assert [len(images) for images in opened.evaluation.class_images] == [7, 7, 7]
    assert len(application.sample(own, state, write_own(tmp_path / "own"), tmp_path)) == 4


@pytest.mark.parametrize("method", ["raw", "classical"])
def test_methods_without_generative_models_are_refused_in_one_line(method, tmp_path):
    own, state = dataclasses.replace(OWN, method=method), make_state(OWN)
    message = f"the method {method}; wanted one of vae, rhvae, manifold"
    with pytest.raises(ReadError, match=message):
        application.sample(own, state, None, tmp_path)
    with pytest.raises(ReadError, match=message):
        application.make_inference(own, state)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["vae", "manifold"])
def test_exported_decoders_are_those_of_the_run(method):
    own = dataclasses.replace(OWN, method=method)
    state = make_state(own)
    inference = application.make_inference(own, state)
    assert set(inference.variables) == {"decoder_hidden", "decoder_logits"}
    assert inference.input_shape == ("batch", 3, own.generator.num_latents)
    latents = jnp.swapaxes(state.latents, 0, 1)
    images = np.asarray(jax.jit(inference.function)(inference.variables, latents))
    decoded = manifold_sampling.decode(generative.make_model(own), state.generators, state.latents)
    np.testing.assert_allclose(images, decoded.swapaxes(0, 1), rtol=1e-6)


def train_and_sample(tmp_path, method):
    """Trains with own images and gives the folder with those that were made of them."""
    assert train(write_own(tmp_path / "own"), tmp_path, method) == 0
    (folder,) = (tmp_path / "runs" / "rhvae").glob("*/seed0")
    assert main(["sample", "rhvae", "--run", str(folder), "--output-dir", str(tmp_path / "samples")]) == 0
    return tmp_path / "samples" / "images" / "generated"


def test_own_images_train_and_those_made_of_them_are_a_set_too(tmp_path, capsys):
    made = train_and_sample(tmp_path, "vae")
    assert str(made / "images.npz") in capsys.readouterr().out
    opened = data.make_data(OWN, seed=0, data_dir=made, cache_dir=tmp_path / "cache")
    assert [len(images) for images in opened.evaluation.class_images] == [7, 7, 7]


@pytest.mark.exhaustive
def test_images_from_a_manifold_train(tmp_path):
    made = train_and_sample(tmp_path, "manifold")
    assert train(made, tmp_path, "raw") == 0


def test_a_folder_that_does_not_suit_gets_one_line(tmp_path, capsys):
    options = ["--source", "folder", "--workdir", str(tmp_path / "runs"), "--mesh.data", "1"]
    assert main(["train", "rhvae", "tiny", *options]) == 1
    assert "--data-dir: found none; wanted the folder of the images" in capsys.readouterr().err
    folder = str(write_own(tmp_path / "own"))
    assert main(["train", "rhvae", "tiny", *options, "--data-dir", folder]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.endswith("3 classes: 0, 1, 2; wanted as many as num_classes says, 2")


def test_check_data_reads_what_the_source_needs(tmp_path, capsys):
    folder = ["--data-dir", str(write_own(tmp_path / "own"))]
    assert main(["check-data", "rhvae", *folder, "--source", "folder"]) == 0
    assert "own.npz: 60 images of 8 x 8 pixels; images by class: 0: 20, 1: 20" in capsys.readouterr().out
    assert main(["check-data", "rhvae", *folder, "--source", "brains"]) == 1
    assert "0 images and 0 tables" in capsys.readouterr().out
    assert main(["check-data", "rhvae", *folder]) == 1
    assert "4 problems" in capsys.readouterr().out
