"""The paper's numbers, and the evaluation of folders whose generator's fault is planted."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from data_pipelines.phantoms import lung_tumour
from experiments.__main__ import main
from experiments.ganeval import config, evaluate, networks, tables

PAPER = config.PRESETS["paper"]


def test_recipes_are_those_of_table_3():
    rows = tables.TABLES["table3"].rows(PAPER)
    for row in rows:
        method = row.configs[0].method
        recipe, plan = networks.RECIPES[method], networks.make_plan(row.configs[0])
        values = (*recipe.rates, *recipe.betas, *plan.kernels, plan.num_latents)
        assert tuple(one.mean for one in row.published.values()) == values
        assert plan.slope == (0.0 if method in ("lsgan", "ac_gan") else 0.2)
    assert len(rows) == 4


def test_table_4_is_printed_as_it_stands():
    rows = {row.label: row.published for row in tables.TABLES["table4"].rows(PAPER)}
    dcgan = rows["DCGAN"]["Frechet distance, non-adaptive"]
    assert (dcgan.mean, dcgan.std) == (9.44, 4.23)
    claims = tables.TABLES["table4"].claims
    holding = [
        rows[claim.left][claim.metric].mean - rows[claim.right][claim.metric].mean > 0 for claim in claims
    ]
    assert all(holding) and len(holding) == 24 + 12


def test_what_a_gan_depends_on_is_not_how_it_is_judged():
    other = dataclasses.replace(PAPER, compared="R_R", judge=config.Judge(num_runs=3), num_steps=9)
    assert config.gan_config(other) == config.gan_config(PAPER)
    assert networks.make_algorithm(other, None) is networks.make_algorithm(PAPER, None)


@pytest.mark.parametrize(
    ("field", "value"), [("image_size", 64), ("test_share", 1.0), ("window", (5.0, 5.0)), ("classes", ())]
)
def test_settings_that_make_no_sense_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(PAPER, **{field: value})


def draw(label):
    """Six slices of each of twelve patients."""
    return {
        f"{number:02d}_{k}": lung_tumour.draw_slice(0, label, number, k, num_slices=6, size=20)
        for number in range(12)
        for k in range(6)
    }


def write(folder, images):
    folder.mkdir(parents=True)
    for name, pixels in images.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")


def test_copies_and_three_images_again_and_again_are_found(tmp_path, capsys):
    """Two folders from the command line to the verdicts: one class is copied, the other one collapsed."""
    rng = np.random.default_rng(0)
    real = {"copied": draw(0), "collapsed": draw(1)}
    three = [image // 2 for image in list(real["collapsed"].values())[2:18:6]]
    noisy = {f"{k}": three[k % 3] + rng.integers(3, size=(20, 20), dtype=np.uint8) for k in range(72)}
    for name, images in real.items():
        write(tmp_path / "real" / name, images)
    write(tmp_path / "made" / "copied", {f"copy{name}": image for name, image in real["copied"].items()})
    write(tmp_path / "made" / "collapsed", noisy)
    folders = ["--data-dir", str(tmp_path / "real"), "--synthetic-dir", str(tmp_path / "made")]
    options = ["--workdir", str(tmp_path / "runs"), "--classes", *real, "--mesh.data", "1"]
    assert main(["train", "ganeval", "tiny", *folders, *options]) == 0
    (run,) = (tmp_path / "runs" / "ganeval").glob("*/seed0")
    report = ["--input", str(tmp_path / "real"), "--output-dir", str(tmp_path / "report")]
    assert main(["sample", "ganeval", "--run", str(run), *report]) == 0
    assert "fig2-similarities.png" in capsys.readouterr().out
    copied, collapsed = (tmp_path / "report" / "report.md").read_text().split("## collapsed")
    assert "memorisation: **found**. 100.0 %" in copied and "mode collapse: **not found**" in copied
    assert "mode collapse: **found**. 100.0 %" in collapsed and "memorisation: **not found**" in collapsed


def test_a_class_that_is_missing_is_named_in_one_line(tmp_path, capsys):
    write(tmp_path / "real", {"00_0": np.zeros((20, 20), np.uint8)})
    options = ["--data-dir", str(tmp_path / "real"), "--workdir", str(tmp_path / "runs"), "--mesh.data", "1"]
    assert main(["train", "ganeval", "tiny", *options]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "of the class 'adaptive'" in error and "sub-folder of that name" in error


def test_columns_name_their_class():
    assert evaluate.column("recall", "adaptive") == "recall, adaptive"
