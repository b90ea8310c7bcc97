"""What can be wrong with checkpoints: each error is one line that says what was found and what is wanted."""


class CheckpointError(Exception):
    """A checkpoint cannot be saved, found or restored."""


class DamagedError(CheckpointError):
    """A checkpoint is not what its manifest says, or has no manifest."""


class DiskError(CheckpointError):
    """A folder cannot be written, or its disk is full or too small."""


class ForeignError(CheckpointError):
    """A checkpoint belongs to a run with another identity, such as another config or seed."""


class MismatchError(CheckpointError):
    """A checkpoint holds other leaves, shapes or dtypes than the state that is wanted."""


class NotFiniteError(CheckpointError):
    """A state holds NaN or infinity and is not saved."""
