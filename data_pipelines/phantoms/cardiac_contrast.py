"""What each tissue looks like in each cardiac sequence, by the signal equations at 1.5 T.

Relaxation times are rounded from the usual tables for 1.5 T (Stanisz et al., Magn Reson Med 2005; native
myocardium and blood as in T1 mapping of healthy volunteers); densities are relative to blood.
"""

import numpy as np

TISSUES = {
    "air": (1000.0, 50.0, 0.0),
    "fat": (300.0, 80.0, 0.9),
    "muscle": (950.0, 42.0, 0.8),
    "lung": (1150.0, 25.0, 0.14),
    "liver": (590.0, 46.0, 0.8),
    "stomach": (1300.0, 160.0, 0.75),
    "spleen": (1070.0, 80.0, 0.85),
    "disc": (950.0, 90.0, 0.75),
    "marrow": (550.0, 50.0, 0.75),
    "csf": (4000.0, 1800.0, 1.0),
    "blood": (1550.0, 250.0, 1.0),
    "myocardium": (955.0, 52.0, 0.85),
    "scar": (1100.0, 58.0, 0.85),
}
"""T1 in ms, T2 in ms and proton density by tissue."""

_ENHANCED_T1_MS = {"blood": 310.0, "myocardium": 470.0, "scar": 290.0}
"""Ten minutes or more after a dose of gadolinium; other tissues fall by a quarter."""


def balanced_ssfp(flip_degrees: float = 60.0, tr_ms: float = 3.0, inflow: float = 1.15) -> dict[str, float]:
    """Steady state of balanced gradient echoes with the echo in the middle: cines and localisers.

    rho sin(a) (1 - E1) / (1 - (E1 - E2) cos(a) - E1 E2) sqrt(E2), and fresh blood brighter by `inflow`.
    """
    sin, cos = np.sin(np.radians(flip_degrees)), np.cos(np.radians(flip_degrees))
    signals = {}
    for name, (t1, t2, density) in TISSUES.items():
        e1, e2 = np.exp(-tr_ms / t1), np.exp(-tr_ms / t2)
        signal = density * sin * (1 - e1) / (1 - (e1 - e2) * cos - e1 * e2) * np.sqrt(e2)
        signals[name] = float(signal * (inflow if name == "blood" else 1))
    return signals


def t2_prepared(
    signals: dict[str, float], preparation_ms: float = 40.0, fat_left: float = 0.2
) -> dict[str, float]:
    """Signals after a T2 preparation and fat saturation, as in free-breathing three-dimensional imaging.

    Every tissue falls to exp(-TE / T2) of its signal; fat keeps `fat_left` of that.
    """
    return {
        name: signal * float(np.exp(-preparation_ms / TISSUES[name][1])) * (fat_left if name == "fat" else 1)
        for name, signal in signals.items()
    }


def spoiled_gradient_echo(flip_degrees: float, tr_ms: float, inflow: float) -> dict[str, float]:
    """Steady state of spoiled gradient echoes: rho sin(a) (1 - E1) / (1 - E1 cos(a)); tagging and flow.

    Blood that flows in is not saturated: it has `inflow` of rho sin(a) and the rest of its steady state.
    """
    sin, cos = np.sin(np.radians(flip_degrees)), np.cos(np.radians(flip_degrees))
    signals = {}
    for name, (t1, _, density) in TISSUES.items():
        e1 = np.exp(-tr_ms / t1)
        share = (1 - e1) / (1 - e1 * cos)
        fresh = inflow if name == "blood" else 0.0
        signals[name] = float(density * sin * (fresh + (1 - fresh) * share))
    return signals


def late_enhancement(heart_beat_ms: float = 1700.0) -> dict[str, float]:
    """Magnitude after inversion, at the time when enhanced myocardium passes through zero.

    rho |1 - 2 exp(-TI / T1) + exp(-TR / T1)| with TR of two heart beats.
    """
    times = {name: _ENHANCED_T1_MS.get(name, 0.75 * t1) for name, (t1, _, _) in TISSUES.items()}
    null = times["myocardium"] * np.log(2 / (1 + np.exp(-heart_beat_ms / times["myocardium"])))
    return {
        name: float(density * abs(1 - 2 * np.exp(-null / times[name]) + np.exp(-heart_beat_ms / times[name])))
        for name, (_, _, density) in TISSUES.items()
    }


def t1_map() -> dict[str, float]:
    """T1 itself, in ms; what has no signal is fitted by noise elsewhere."""
    return {name: t1 for name, (t1, _, _) in TISSUES.items()}
