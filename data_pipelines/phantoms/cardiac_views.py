"""Images of the 13 kinds of a cardiac MR examination: a plane through the torso, a contrast, a scanner.

The kinds are cine (short axis; 2-, 3- and 4-chamber long axis; outflow tract; transverse aorta), flow
(magnitude and phase, across the ascending aorta), tagging, T1 map and late enhancement (short axis), and
localisers (transverse and coronal).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_pipelines.phantoms import cardiac_anatomy, cardiac_contrast
from data_pipelines.phantoms.cardiac_anatomy import Heart

KINDS = (
    "cine sa",
    "cine la 2ch",
    "cine la 3ch",
    "cine la 4ch",
    "cine lvot",
    "cine aorta",
    "flow magnitude",
    "flow phase",
    "tagging",
    "t1 map",
    "late enhancement",
    "localiser transverse",
    "localiser coronal",
)
"""Names of the kinds; their positions are the labels."""

IMAGES_PER_EXAMINATION = (11.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 1.0, 0.25, 8.0, 4.0)
"""How many images of each kind an examination has on average: the long tail of a database. Volumes give
one image per slice; late enhancement needs a contrast agent, which one subject in four receives."""

BALANCED = (1, 2, 3)
"""The kinds of the balanced set: the three long-axis cines."""

_NUM_SUBSLICES = 3
_LOCALISERS = ("localiser transverse", "localiser coronal")
_SHORT_AXIS = ("cine sa", "tagging", "t1 map", "late enhancement")


@dataclass(frozen=True)
class Plane:
    """A slice through the torso.

    Attributes:
        centre: position of the image's centre in mm.
        down: unit vector along which rows count.
        right: unit vector along which columns count.
        field_mm: side of the field of view.
        thickness_mm: of the slice.
    """

    centre: np.ndarray
    down: np.ndarray
    right: np.ndarray
    field_mm: float
    thickness_mm: float

    @property
    def normal(self) -> np.ndarray:
        """Unit vector across the slice."""
        return np.cross(self.down, self.right)


def class_counts(num_images: int, *, balanced: bool) -> dict[int, int]:
    """Splits a number of images over the kinds.

    Args:
        num_images: in all.
        balanced: equally over the three long-axis cines, or over all kinds as examinations have them.

    Returns:
        How many images each label has, every one at least one; in all `num_images`.

    Raises:
        ValueError: fewer images than kinds.
    """
    labels = BALANCED if balanced else tuple(range(len(KINDS)))
    if num_images < len(labels):
        raise ValueError(f"num_images: {num_images}; wanted one for each of {len(labels)} kinds or more")
    shares = np.array([1.0 if balanced else IMAGES_PER_EXAMINATION[label] for label in labels])
    spare = (num_images - len(labels)) * shares / shares.sum()
    counts = 1 + np.floor(spare).astype(int)
    remainders = np.argsort(-(spare - np.floor(spare)), kind="stable")
    counts[remainders[: num_images - counts.sum()]] += 1
    return dict(zip(labels, counts.tolist(), strict=True))


def list_images(num_images: int, *, balanced: bool) -> list[tuple[int, int]]:
    """The label and the number of every image of a set with the counts of `class_counts`, by label."""
    counts = class_counts(num_images, balanced=balanced)
    return [(label, number) for label, count in counts.items() for number in range(count)]


def draw_image(seed: int, label: int, number: int, size: int) -> np.ndarray:
    """Draws one image; the same arguments always give the same one.

    Args:
        seed: of the data set.
        label: position of the kind in `KINDS`.
        number: of the image among those of its kind; images with the same number show the same subject.
        size: height and width in pixels.

    Returns:
        (size, size) uint8, scaled to the image's own range as an export from an archive would be.
    """
    kind = KINDS[label]
    heart = cardiac_anatomy.draw_heart(
        np.random.default_rng([seed, number]), with_scar=kind == "late enhancement" and number % 2 == 0
    )
    rng = np.random.default_rng([seed, number, label + 1])
    plane = draw_plane(heart, kind, rng)
    fractions = _fractions(heart, plane, size)
    return _to_uint8(_acquire(kind, heart, plane, fractions, rng), kind)


def draw_plane(heart: Heart, kind: str, rng: np.random.Generator) -> Plane:
    """Plans the slice of a kind as a radiographer would, a few degrees and millimetres off."""
    long, septal, third = heart.axes
    middle = heart.local(0.35 * heart.length, 0.25 * heart.radius, 0)
    field = rng.uniform(400, 450) if kind in _LOCALISERS else rng.uniform(330, 390)
    if kind in _SHORT_AXIS:
        low, high = (-5, 0.95) if kind == "cine sa" else (15, 0.65)
        centre, normal = heart.local(rng.uniform(low, high * heart.length), 12, 0), long
    elif kind == "cine la 2ch":
        centre, normal = middle, septal
    elif kind == "cine la 3ch":
        centre, normal = middle, np.cross(long, heart.aortic_valve)
    elif kind == "cine la 4ch":
        centre, normal = middle, third
    elif kind == "cine lvot":
        across = np.cross(long, heart.aortic_valve)
        centre, normal = heart.aortic_valve, np.cross(across, heart.aortic_direction + 0.4 * -long)
    elif kind == "localiser coronal":
        centre, normal = np.array([-30.0, rng.uniform(-50, 60), -10.0]), np.array([0.0, 1.0, 0.0])
    elif kind == "localiser transverse":
        centre, normal = np.array([-30.0, 5.0, rng.uniform(-75, 75)]), np.array([0.0, 0.0, 1.0])
    else:
        height = 42.0 if kind == "cine aorta" else 22.0
        centre = heart.aortic_valve + height * heart.aortic_direction
        normal = np.array([0.0, 0.0, 1.0]) if kind == "cine aorta" else heart.aortic_direction
        centre = centre + np.array([5.0, 18.0, 0.0])
    tilt = 3 if kind in _LOCALISERS else 6
    normal = normal / np.linalg.norm(normal)
    normal = normal + np.cross(np.radians(rng.normal(0, tilt, 3)), normal)
    centre = centre + rng.normal(0, 8, 3) - (rng.normal(0, 6) * normal)
    return _orient(centre, normal / np.linalg.norm(normal), field, 10.0 if kind in _LOCALISERS else 8.0, rng)


def _orient(
    centre: np.ndarray, normal: np.ndarray, field_mm: float, thickness_mm: float, rng: np.random.Generator
) -> Plane:
    """Turns the image as scanners do: a slice nearest to transverse with anterior up, others with head up."""
    is_transverse = int(np.argmax(np.abs(normal))) == 2
    down = np.array([0.0, 1.0, 0.0]) if is_transverse else np.array([0.0, 0.0, -1.0])
    down = down - (down @ normal) * normal
    down /= np.linalg.norm(down)
    right = np.cross(normal, down)
    # The patient's left is on the viewer's right; in sagittal slices, posterior is.
    towards = right[0] if abs(right[0]) > abs(right[1]) else right[1]
    right = right if towards > 0 else -right
    angle = np.radians(rng.normal(0, 6))
    turned = np.cos(angle) * down + np.sin(angle) * right
    return Plane(centre, turned, np.cos(angle) * right - np.sin(angle) * down, field_mm, thickness_mm)


def _fractions(heart: Heart, plane: Plane, size: int) -> dict[str, np.ndarray]:
    """Shares of the tissues in every pixel of a slice, averaged over its thickness."""
    pixel_mm = plane.field_mm / size
    offset = (np.arange(size) - (size - 1) / 2) * pixel_mm
    depth = plane.thickness_mm * ((np.arange(_NUM_SUBSLICES) + 0.5) / _NUM_SUBSLICES - 0.5)
    points = (
        plane.centre[:, None, None, None]
        + plane.normal[:, None, None, None] * depth[:, None, None]
        + plane.down[:, None, None, None] * offset[:, None]
        + plane.right[:, None, None, None] * offset
    )
    shares = cardiac_anatomy.shares_at(heart, points, pixel_mm)
    return {tissue: share.mean(0) for tissue, share in shares.items()}


def _acquire(
    kind: str, heart: Heart, plane: Plane, fractions: dict[str, np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """The image of the scanner: contrast, coils, resolution and noise."""
    size = len(fractions["air"])
    if kind == "flow phase":
        return _phase(heart, plane, fractions, rng)
    if kind == "t1 map":
        return _t1_map(fractions, rng)
    if kind == "late enhancement":
        signals = cardiac_contrast.late_enhancement()
    elif kind == "tagging":
        signals = cardiac_contrast.spoiled_gradient_echo(12.0, 6.0, 0.25)
    elif kind == "flow magnitude":
        signals = cardiac_contrast.spoiled_gradient_echo(20.0, 5.0, 0.6)
    else:
        signals = cardiac_contrast.balanced_ssfp(flip_degrees=rng.uniform(50, 70))
    image = _mix(fractions, signals, rng) * _coil(size, rng)
    if kind == "tagging":
        image = image * _tags(plane, size, rng)
    if kind in _LOCALISERS:
        image = ndimage.gaussian_filter(image, 0.35 * 2.4 / (plane.field_mm / size))
    return _rician(image, image[image > 0.1 * image.max()].mean() / rng.uniform(14, 35), rng)


def _mix(fractions: dict[str, np.ndarray], signals: dict[str, float], rng: np.random.Generator) -> np.ndarray:
    """Tissues differ a little between subjects."""
    return sum(
        (share * signals[name] * rng.normal(1, 0.05) for name, share in sorted(fractions.items())),
        start=np.zeros_like(fractions["air"]),
    )


def _coil(size: int, rng: np.random.Generator) -> np.ndarray:
    """Sensitivity of a surface coil: a smooth quadratic, stronger towards the chest."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, size),) * 2, indexing="ij")
    field = rng.normal(0, 0.15) * x + rng.normal(-0.25, 0.15) * y + rng.normal(0, 0.1) * x * y
    return np.exp(field - 0.15 * (x * x + y * y))


def _tags(plane: Plane, size: int, rng: np.random.Generator) -> np.ndarray:
    """Grid of saturated lines, 6 to 8 mm apart, or three pixels where that is coarser."""
    pixel_mm = plane.field_mm / size
    distance = max(rng.uniform(6, 8), 3 * pixel_mm)
    first = np.pi / 4 + np.radians(rng.normal(0, 3))
    y, x = np.meshgrid(*(np.arange(size) * pixel_mm,) * 2, indexing="ij")
    tags = np.ones((size, size))
    for angle in (first, first + np.pi / 2):
        wave = np.cos(np.pi * (x * np.cos(angle) + y * np.sin(angle)) / distance) ** 2
        tags *= 0.15 + 0.85 * wave
    return tags


def _rician(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return np.hypot(image + rng.normal(0, sigma, image.shape), rng.normal(0, sigma, image.shape))


def _phase(
    heart: Heart, plane: Plane, fractions: dict[str, np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Velocity across the slice over the encoding velocity, in [-1, 1]; noise where there is no signal.

    Early in systole blood leaves through the aorta and comes back down behind it; a parabolic profile.
    """
    size = len(fractions["air"])
    pixel_mm = plane.field_mm / size
    offset = (np.arange(size) - (size - 1) / 2) * pixel_mm
    points = plane.centre[:, None, None] + plane.down[:, None, None] * offset[:, None]
    points = points + plane.right[:, None, None] * offset
    peak, venc = rng.uniform(0.3, 1.1), 1.8
    radius = np.linalg.norm(np.cross(points.T - heart.aortic_valve, heart.aortic_direction), axis=-1).T
    up = np.clip(1 - (radius / heart.aorta) ** 2, 0, None)
    x, y = cardiac_anatomy.DESCENDING_AORTA
    back = np.hypot(points[0] - x, points[1] - y)
    down = np.clip(1 - (back / (0.78 * heart.aorta)) ** 2, 0, None)
    phase = peak / venc * (up - 0.8 * down)
    magnitude = _mix(fractions, cardiac_contrast.spoiled_gradient_echo(20.0, 5.0, 0.6), rng)
    # Phase noise of 1 / SNR radians, with an SNR of 20 on average within the body.
    typical = magnitude[magnitude > 0.1 * magnitude.max()].mean()
    noise = typical / (20 * np.pi) / np.maximum(magnitude, 1e-3)
    noisy = phase + rng.normal(0, 1, phase.shape) * noise
    return (noisy + 1) % 2 - 1


def _t1_map(fractions: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """T1 in ms, fitted pixel by pixel: anything up to the fit's limit where there is no signal."""
    values = _mix(fractions, cardiac_contrast.t1_map(), rng)
    densities = {name: density for name, (_, _, density) in cardiac_contrast.TISSUES.items()}
    signal = _mix(fractions, densities, rng)
    fitted = values * (1 + rng.normal(0, 0.03, values.shape) / np.maximum(signal, 0.05))
    guess = rng.uniform(0, 2500, values.shape)
    return np.clip(np.where(signal < 0.08, guess, fitted), 0, 2500)


def _to_uint8(image: np.ndarray, kind: str) -> np.ndarray:
    if kind == "flow phase":
        low, high = -1.0, 1.0
    elif kind == "t1 map":
        low, high = 0.0, 2500.0
    else:
        low, high = 0.0, float(np.quantile(image, 0.995))
    return np.round(255 * np.clip((image - low) / (high - low), 0, 1)).astype(np.uint8)
