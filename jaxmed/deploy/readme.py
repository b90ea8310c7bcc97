"""The page that goes with an exported network."""

from collections.abc import Mapping, Sequence
from typing import Any

_PAGE = """# {title}

A trained network as a program and its arrays; `manifest.json` tells where it comes from. It runs with `jax`
(made with {jax}), `flatbuffers`, `numpy` and `safetensors`: neither its sources nor the library that trained
it are needed, and nothing is unpickled. In the folder that holds this page:

```python
import hashlib
import json
from pathlib import Path

import jax
import numpy as np
from jax import export
from safetensors.numpy import load

manifest = json.loads(Path("manifest.json").read_bytes())
files = {{name: Path(name).read_bytes() for name in manifest["files"]}}
for name, wanted in manifest["files"].items():
    assert hashlib.sha256(files[name]).hexdigest() == wanted["sha256"], f"{{name}} is damaged"

network = export.deserialize(bytearray(files["model.stablehlo"]))
variables = load(files["params.safetensors"])  # arrays by name
predict = jax.jit(network.call)

inputs = np.zeros({zeros}, "{input_dtype}")  # {inputs}
outputs = predict(variables, inputs)  # {outputs}
```

| | shape | dtype |
|---|---|---|
{rows}

Sizes with a name may be any number; each number is compiled once. The program was made for {platforms}.
Devices of different kinds round differently.

jax promises that releases up to 6 months newer and up to 3 weeks older than {jax} run a program made by its
export (calling convention {convention}). For the arrays there is no such limit.

The digests find damage. They are no signature: a program is code, so take it from those whom you trust.
"""


def render(manifest: Mapping[str, Any]) -> str:
    """Writes the page of an exported network.

    Args:
        manifest: of the network, as `bundle.make_bundle` fills it.

    Returns:
        Markdown with a snippet that runs as it stands.
    """
    inputs, outputs = manifest["inputs"], manifest["outputs"]
    arrays = {"inputs": inputs, **outputs["arrays"]}
    return _PAGE.format(
        title=manifest["title"],
        inputs=inputs["meaning"],
        outputs=outputs["meaning"],
        input_dtype=inputs["dtype"],
        zeros=tuple(2 if isinstance(size, str) else size for size in inputs["shape"]),
        rows="\n".join(_row(name, array["shape"], array["dtype"]) for name, array in arrays.items()),
        platforms=", ".join(manifest["platforms"]),
        jax=manifest["versions"]["jax"],
        convention=manifest["calling_convention_version"],
    )


def _row(name: str, shape: Sequence[int | str], dtype: str) -> str:
    return f"| {name} | ({', '.join(map(str, shape))}) | {dtype} |"
