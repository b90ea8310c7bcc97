"""A folder of NIfTI volumes, with or without label maps.

Two layouts are read; masks may be there for all volumes, for some or for none:

    <folder>/images/<name>.nii.gz     <folder>/masks/<name>.nii.gz
    <folder>/imagesTr/<name>.nii.gz   <folder>/labelsTr/<name>.nii.gz

In the second, `<name>_0000.nii.gz` (the first channel) goes with `<name>.nii.gz`. Files may be .nii too;
hidden files are passed over.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from data_pipelines.example import Example
from data_pipelines.readers import nifti
from data_pipelines.readers.errors import ReadError

_LAYOUTS = (("images", "masks"), ("imagesTr", "labelsTr"))


@dataclass(frozen=True)
class VolumeCase:
    """A volume and perhaps its mask, not read yet.

    Attributes:
        subject: name of the case: the file's name without extension.
        image_path: the volume.
        label_path: its label map, or None.
        num_classes: labels run from 0 to this number - 1.
        replace_nonfinite: see `nifti.read_volume`.
        accept_zero_slope: see `nifti.read_volume`.
    """

    subject: str
    image_path: Path
    label_path: Path | None = None
    num_classes: int = 256
    replace_nonfinite: bool = False
    accept_zero_slope: bool = False

    def read(self) -> Example:
        """Reads the volume and its mask.

        Returns:
            The case; its label is None where there is no mask.

        Raises:
            ReadError: see `nifti.read_volume` and `nifti.read_label`.
        """
        if self.label_path is None:
            return replace(
                nifti.read_volume(
                    self.image_path,
                    replace_nonfinite=self.replace_nonfinite,
                    accept_zero_slope=self.accept_zero_slope,
                ),
                subject=self.subject,
            )
        return replace(
            nifti.read_pair(
                self.image_path,
                self.label_path,
                num_classes=self.num_classes,
                replace_nonfinite=self.replace_nonfinite,
                accept_zero_slope=self.accept_zero_slope,
            ),
            subject=self.subject,
        )


def find_cases(folder: str | Path, num_classes: int = 256) -> list[VolumeCase]:
    """Lists the cases of a folder in one of the layouts above.

    Args:
        folder: holds images/ or imagesTr/.
        num_classes: labels run from 0 to this number - 1.

    Returns:
        The cases by name.

    Raises:
        ReadError: no such folder, no or two layouts in it, two files of one case, a mask without its
            volume, or a second channel.
    """
    folder = Path(folder)
    image_folder, mask_folder = _layout(folder)
    images = _by_case(image_folder)
    masks = _by_case(mask_folder) if mask_folder.is_dir() else {}
    cases = []
    for name, path in images.items():
        if name.endswith("_0001") and name.removesuffix("_0001") + "_0000" in images:
            raise ReadError(path, "a second channel", "volumes of one channel")
        subject = name if name in masks else name.removesuffix("_0000")
        cases.append(VolumeCase(subject, path, masks.pop(subject, None), num_classes))
    for path in masks.values():
        raise ReadError(path, "no volume for this mask", f"one of the same name in {image_folder.name}/")
    return cases


def nifti_files(folder: Path) -> list[Path]:
    """Lists the .nii and .nii.gz files of a folder by name; hidden ones are passed over.

    Args:
        folder: not searched deeper.

    Returns:
        Sorted paths.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.name.endswith((".nii", ".nii.gz")) and not path.name.startswith(".")
    )


def _layout(folder: Path) -> tuple[Path, Path]:
    found = [(folder / images, folder / masks) for images, masks in _LAYOUTS if (folder / images).is_dir()]
    if len(found) != 1:
        raise ReadError(
            folder, "both images/ and imagesTr/" if found else "no images/ and no imagesTr/", "one"
        )
    return found[0]


def _by_case(folder: Path) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for path in nifti_files(folder):
        name = nifti.case_name(path)
        if name in paths:
            raise ReadError(path, f"the case of {paths[name].name} again", "one file per case")
        paths[name] = path
    return paths
