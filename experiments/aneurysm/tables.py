"""Table 1 of the paper and its five-fold validation (Fig. 2), and the claims."""

from dataclasses import replace

from experiments.aneurysm import figures
from experiments.aneurysm.config import Config, Method
from experiments.contract import Claim, Published, Row, Table

_COLUMNS = (
    "soft dice",
    "kappa",
    "sensitivity",
    "false positives",
    *(f"patch {n}" for n in ("TP", "FP", "FN", "TN")),
)
"""Those that Table 1 prints."""

_PRINTED: tuple[tuple[Method, str, tuple[float, ...]], ...] = (
    ("proposed", "Model0", (0.339, 0.665, 0.970, 0.454, 14, 5, 2, 2194)),
    ("focal", "Model1 (focal)", (0.089, 0.527, 0.803, 0.190, 12, 2, 4, 2197)),
    ("few_duplicates", "Model2 (5 copies)", (0.038, -1.21e-8, 0, 0, 0, 0, 16, 2199)),
    ("undistorted", "Model3 (undistorted)", (0.434, 0.772, 0.879, 1.545, 14, 11, 2, 2188)),
    ("few_negatives", "Model4 (100 negatives)", (0.245, 0.589, 0.833, 1.0, 13, 8, 3, 2191)),
)

_FOLDS = "Model0, five folds"
_PRINTED_FOLDS = {
    "AUC": Published(0.8524),
    "sensitivity at best": Published(0.72),
    "false positives at best": Published(0.14),
}


def rows(preset: Config) -> tuple[Row, ...]:
    """One row per model on the one split, and Model0 on every fold of the cross-validation."""
    made = [
        Row(
            label,
            (replace(preset, method=method),),
            dict(zip(_COLUMNS, map(Published, printed), strict=True)),
        )
        for method, label, printed in _PRINTED
    ]
    folds = preset.cross_validation_folds
    config = replace(preset, method="proposed", num_folds=folds, num_validation=0)
    made.append(Row(_FOLDS, tuple(replace(config, fold=fold) for fold in range(folds)), _PRINTED_FOLDS))
    return tuple(made)


def _claims() -> tuple[Claim, ...]:
    model0, focal, few, undistorted, negatives = (label for _, label, _ in _PRINTED)
    return (
        Claim("few copies fail: kappa", "kappa", model0, few),
        Claim("few copies fail: sensitivity", "sensitivity", model0, few),
        Claim("distortion lowers the false positives", "false positives", undistorted, model0),
        Claim("distortion raises the sensitivity", "sensitivity", model0, undistorted),
        Claim("without distortion kappa is higher", "kappa", undistorted, model0),
        Claim("few negatives give more false positives", "false positives", negatives, model0),
        Claim("few negatives give less sensitivity", "sensitivity", model0, negatives),
        Claim("few negatives give a lower kappa", "kappa", model0, negatives),
        Claim("the focal loss has fewer false positives", "false positives", model0, focal),
        Claim("the focal loss is less sensitive", "sensitivity", model0, focal),
        Claim("the focal loss predicts smaller components", "component voxels", model0, focal),
        Claim(
            "small aneurysms are found less often",
            "sensitivity from 3 mm",
            _FOLDS,
            _FOLDS,
            right_metric="sensitivity below 3 mm",
        ),
    )


TABLES = {
    "table1": Table(
        caption="Voxels of validation patches (Dice as Keras shows it, kappa and Dice of one mask), lesions "
        "of the test patients (sensitivity, false positives per case), test patches; the area under the FROC "
        "curve and its best point. The last row pools five folds.",
        metrics=(
            *_COLUMNS,
            "dice",
            "component voxels",
            "sensitivity below 3 mm",
            "sensitivity from 3 mm",
            "AUC",
            "sensitivity at best",
            "false positives at best",
        ),
        rows=rows,
        claims=_claims(),
        figures=figures.draw_figures,
    )
}
