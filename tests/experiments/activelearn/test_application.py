import csv

import numpy as np
import pytest
from PIL import Image

from data_pipelines.readers.errors import ReadError
from experiments.activelearn import application
from experiments.activelearn.config import PRESETS, choose

DIGITS = choose(PRESETS["tiny"], "balanced")


def test_folder_is_ranked_by_the_runs_scoring(untrained, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (9, 9), np.uint8)
        Image.fromarray(pixels).save(folder / f"image-{number}.png")
    application.predict(DIGITS, untrained, folder, tmp_path / "ranked.csv")
    with (tmp_path / "ranked.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {f"image-{number}.png" for number in range(4)}
    margins = [float(row["margin"]) for row in rows]
    assert margins == sorted(margins, reverse=True)
    assert sum(float(rows[0][f"probability {k}"]) for k in range(10)) == pytest.approx(1, abs=1e-4)


def test_what_cannot_be_ranked_is_refused(untrained, tmp_path):
    with pytest.raises(ReadError, match="no images"):
        application.predict(DIGITS, untrained, tmp_path, tmp_path / "ranked.csv")
    with pytest.raises(ReadError, match="colour"):
        application.predict(choose(PRESETS["paper"], "balanced"), untrained, tmp_path, tmp_path / "x.csv")


def test_pictures_show_the_phantom(tmp_path):
    (file,) = application.sample(PRESETS["tiny"], None, None, tmp_path)
    with Image.open(file) as picture:
        assert min(picture.size) > 300
    with pytest.raises(ReadError, match="an input"):
        application.sample(PRESETS["tiny"], None, tmp_path, tmp_path)
