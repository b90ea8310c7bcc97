import numpy as np

from jaxmed.report.set_comparison import write_section


def test_section_says_what_was_found():
    text = write_section(
        "cats",
        {"recall": np.array([0.5, 0.7]), "specificity": np.array([0.25])},
        {"S_S": [0.81, 0.9]},
        ("MS-SSIM", "correlation"),
        {"memorisation": [0.97, 0.4, 1e-9, 1.0], "mode collapse": [0.5, 0.01, 0.6, 0.0]},
    )
    assert "## cats" in text
    assert "| recall | 0.600 | 0.141 |" in text
    assert "| specificity | 0.250 |  |" in text
    assert "| S_S | 0.810 | 0.900 |" in text
    assert "- memorisation: **found**. 40.0 %" in text and "p = 1e-09" in text
    assert "- mode collapse: **not found**. 1.0 %" in text
