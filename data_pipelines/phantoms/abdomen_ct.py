"""Abdominal CT phantom in the portal venous phase: a tilted, tapering liver with tumours, and its neighbours.

Every subject is a set of continuous functions of position in mm, drawn from its seed alone; the grid only
samples them, antialiased in the slice. x runs towards the patient's left, y towards posterior, z towards
superior, and the origin is the middle of the stack. The label comes from the same functions as the HU.

The liver is an ellipsoid whose long axis leans from the right, inferior and posterior to the midline, and
that tapers towards its lower tip, so that its cross-sections are small in the box around the whole. With the
tilt of `TILT_DEGREES` and the taper of `TAPER` the mean intersection over union of the tight boxes of its
slices with that box is 0.17 (an upright ellipsoid's is 2/3). A real liver is larger and less slender.
"""

from dataclasses import dataclass

import numpy as np

from data_pipelines.phantoms import ct_kernels, ct_scanner, shapes, tissue_hu
from data_pipelines.phantoms.smooth_noise import SmoothNoise

MIN_FIELD_OF_VIEW_MM = 390.0
LIVER, TUMOUR = 1, 2
"""Labels, as in Task03_Liver of the Medical Segmentation Decathlon."""

TILT_DEGREES = (42.0, 52.0)
"""Between the liver's long axis and the table's, range between subjects."""
TAPER = (0.8, 0.95)
"""How much narrower the lower tip is than the upper end, likewise."""

_HALF_MM = ((114.0, 132.0), (40.0, 50.0), (36.0, 46.0))
"""Half axes of the liver: along its length, and across it in and out of the plane of its tilt."""
_TEXTURE_HU = 7.0
_BEND_MM = 3.0
_SPARE_MM = 2.0

Position = tuple[np.ndarray, np.ndarray, shapes.Scalar]


@dataclass(frozen=True)
class Abdomen:
    """A phantom on a grid; all arrays are (depth, height, width).

    Attributes:
        hu: ideal image, float32.
        label: uint8: 0, `LIVER` or `TUMOUR`.
    """

    hu: np.ndarray
    label: np.ndarray


@dataclass(frozen=True)
class Organ:
    """An ellipsoid of one CT number.

    Attributes:
        centre: x, y, z in mm.
        half: half axes along x, y, z in mm.
        hu: its CT number.
    """

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    hu: float

    def distance(self, position: Position) -> np.ndarray:
        """First-order signed distance in mm."""
        x, y, z = (p - c for p, c in zip(position, self.centre, strict=True))
        return shapes.ellipsoid(x, y, z, self.half)


@dataclass(frozen=True)
class Liver:
    """The liver.

    Attributes:
        centre: x, y, z in mm.
        half: half axes in mm: across in the plane of the tilt, across out of it, and along.
        tilt: in degrees, between the long axis and z.
        heading: in degrees, from x towards y: where the upper end leans to.
        taper: in [0, 1): how much narrower the lower tip is than the upper end.
        hu: its CT number.
    """

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    tilt: float
    heading: float
    taper: float
    hu: float

    def distance(self, position: Position) -> np.ndarray:
        """First-order signed distance in mm."""
        x, y, z = (p - c for p, c in zip(position, self.centre, strict=True))
        forward, aside = shapes.rotate(x, y, self.heading)
        along, across = shapes.rotate(z, forward, self.tilt)
        width = 1 - self.taper * (1 - np.clip(along / self.half[2], -1, 1)) / 2
        return shapes.ellipsoid(across / width, aside / width, along, self.half) * width


@dataclass(frozen=True)
class Subject:
    """Everything that defines one subject, independent of any grid.

    Attributes:
        body: half axes of the trunk along x and y in mm.
        liver: the liver.
        tumours: in the liver.
        organs: painted in this order.
        fine: texture.
        bowel: where positive, a loop of bowel in the fat of the cavity.
        bend: displacements along x and y, in units of 3 mm.
    """

    body: tuple[float, float]
    liver: Liver
    tumours: tuple[Organ, ...]
    organs: tuple[Organ, ...]
    fine: SmoothNoise
    bowel: SmoothNoise
    bend: tuple[SmoothNoise, SmoothNoise]


def draw_scan(
    seed: int, *, image_size: int, pixel_mm: float, num_slices: int, slice_mm: float, num_angles: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a subject and scans it (`ct_scanner`, standard kernel, photon noise).

    Args:
        seed: of the subject and of the photons.
        image_size: height and width in pixels.
        pixel_mm: pixel size.
        num_slices: number of thin slices.
        slice_mm: distance between slices.
        num_angles: projections over 180 degrees.

    Returns:
        (depth, height, width) int16 HU and uint8 labels.

    Raises:
        ValueError: if the field of view is too small for the largest subject.
    """
    grid = {
        "image_size": image_size,
        "pixel_mm": pixel_mm,
        "num_slices": num_slices,
        "slice_mm": slice_mm,
    }
    abdomen = draw_abdomen(seed, **grid)
    scanner = ct_scanner.calibrated_scanner(num_angles, pixel_mm)
    sinogram = ct_scanner.acquire(abdomen.hu, pixel_mm, scanner, seed)
    image = ct_scanner.reconstruct(sinogram, pixel_mm, ct_kernels.STANDARD)
    return ct_scanner.stored(image), abdomen.label


def draw_abdomen(seed: int, *, image_size: int, pixel_mm: float, num_slices: int, slice_mm: float) -> Abdomen:
    """Draws the phantom of one subject; arguments and errors as for `draw_scan`."""
    if image_size * pixel_mm < MIN_FIELD_OF_VIEW_MM:
        raise ValueError(
            f"field of view is {image_size * pixel_mm:g} mm (image_size x pixel_mm); "
            f"wanted at least {MIN_FIELD_OF_VIEW_MM:g} mm"
        )
    subject = draw_subject(seed)
    offset_mm = ((np.arange(image_size) - (image_size - 1) / 2) * pixel_mm).astype(np.float32)
    heights_mm = ((np.arange(num_slices) - (num_slices - 1) / 2) * slice_mm).astype(np.float32)
    slices = [_paint_slice(subject, z, offset_mm, pixel_mm) for z in heights_mm]
    return Abdomen(*(np.stack(parts) for parts in zip(*slices, strict=True)))


def draw_subject(seed: int) -> Subject:
    """Draws everything that does not depend on the grid, each part from its own stream."""
    shape, texture = (np.random.Generator(np.random.Philox(key=[seed, part])) for part in range(2))
    body = (shape.uniform(150, 172), shape.uniform(108, 122))
    liver = _draw_liver(shape)
    return Subject(
        body,
        liver,
        _draw_tumours(shape, liver),
        _draw_organs(shape),
        SmoothNoise(texture, 4.0),
        SmoothNoise(texture, 16.0),
        (SmoothNoise(texture, 45.0), SmoothNoise(texture, 45.0)),
    )


def _draw_liver(generator: np.random.Generator) -> Liver:
    along, across, aside = (generator.uniform(*bounds) for bounds in _HALF_MM)
    x, y, z = (generator.uniform(*bounds) for bounds in ((-48, -38), (-14, -4), (-6, 6)))
    return Liver(
        (x, y, z),
        (across, aside, along),
        tilt=generator.uniform(*TILT_DEGREES),
        heading=generator.uniform(-50, -25),
        taper=generator.uniform(*TAPER),
        hu=generator.normal(105, 8),
    )


def _draw_tumours(generator: np.random.Generator, liver: Liver) -> tuple[Organ, ...]:
    """Up to three, darker than the liver, each with its centre 5 mm or more inside."""
    found: list[Organ] = []
    for _ in range(generator.integers(0, 4)):
        sites = np.array(liver.centre) + generator.uniform(-90, 90, (500, 3))
        inside = sites[liver.distance(tuple(sites.T)) < -5]
        radius, fall = generator.uniform(6, 16), generator.uniform(25, 50)
        if len(inside):
            centre = (float(inside[0][0]), float(inside[0][1]), float(inside[0][2]))
            found.append(Organ(centre, (radius, radius, radius), liver.hu - fall))
    return tuple(found)


def _draw_organs(generator: np.random.Generator) -> tuple[Organ, ...]:
    """Spine, vessels, kidneys, spleen and stomach, where anatomy has them."""
    normal = generator.normal
    long = 400.0
    return (
        Organ((0.0, 72.0, 0.0), (20.0, 24.0, long), normal(190, 15)),
        Organ((14.0, 38.0, 0.0), (11.0, 11.0, long), normal(140, 12)),
        Organ((-16.0, 40.0, 0.0), (12.0, 10.0, long), normal(125, 10)),
        Organ((-58.0, 62.0, normal(-45, 6)), (25.0, 22.0, 52.0), normal(170, 12)),
        Organ((60.0, 62.0, normal(-30, 6)), (25.0, 22.0, 52.0), normal(170, 12)),
        Organ((98.0, 38.0, normal(30, 8)), (28.0, 42.0, normal(50, 4)), normal(115, 8)),
        Organ((62.0, -38.0, normal(25, 8)), (44.0, 36.0, normal(48, 4)), normal(30, 8)),
    )


def _paint_slice(
    subject: Subject, z: shapes.Scalar, offset_mm: np.ndarray, pixel_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Image and label of one thin slice."""
    image = np.full((offset_mm.size,) * 2, tissue_hu.AIR_HU, np.float32)
    x, y = (
        axis + _BEND_MM * noise.slice_at(z, offset_mm)
        for axis, noise in zip((offset_mm[None, :], offset_mm[:, None]), subject.bend, strict=True)
    )
    position, texture = (x, y, z), _TEXTURE_HU * subject.fine.slice_at(z, offset_mm)
    plane = shapes.Plane(image, x, y, z, pixel_mm)
    trunk = shapes.superellipse(x, y, *subject.body, 2.3)
    wall, cavity = trunk + 18.0, trunk + 32.0
    plane.paint(trunk, tissue_hu.FAT_HU + texture)
    plane.paint(wall, tissue_hu.MUSCLE_HU + 10 + texture)
    plane.paint(cavity, tissue_hu.FAT_HU + texture)
    loops = np.maximum(cavity, -20 * (subject.bowel.slice_at(z, offset_mm) - 0.4))
    plane.paint(loops, tissue_hu.MUSCLE_HU + texture)
    for organ in subject.organs:
        plane.paint(organ.distance(position), organ.hu + texture)
    inside = np.maximum(subject.liver.distance(position), wall + _SPARE_MM)
    plane.paint(inside, subject.liver.hu + texture)
    label = np.where(inside <= 0, LIVER, 0).astype(np.uint8)
    for tumour in subject.tumours:
        distance = np.maximum(tumour.distance(position), inside)
        plane.paint(distance, tumour.hu + texture)
        label[distance <= 0] = TUMOUR
    return image, label
