"""What prepared volumes depend on beside their numbers: the code that makes them."""

import functools
import hashlib
from pathlib import Path


def phantom_code(*others: str) -> str:
    """A digest of the source of all phantoms and of other files: volumes of an older one are not its own."""
    return source_digest(*map(str, sorted(Path(__file__).parent.glob("*.py"))), *others)


@functools.cache
def source_digest(*files: str) -> str:
    """A digest of source files, in the order given."""
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:10]
