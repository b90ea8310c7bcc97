import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxmed.bench import hlo

TEXT = """HloModule jit_f, is_scheduled=true

%body (arg: (s32[], f32[4,4])) -> (s32[], f32[4,4]) {
  %arg = (s32[], /*index=1*/f32[4,4]{1,0:T(8,128)}) parameter(0)
  ROOT %out = (s32[], f32[4,4]{1,0}) tuple(%arg)
}

ENTRY %main.3 (x.1: f32[4,4], y: bf16[3]) -> f32[4,4] {
  %x.1 = f32[4,4]{1,0} parameter(0), metadata={op_name="x"}
  %y = bf16[3]{0} parameter(1)
  %loop = (s32[], f32[4,4]{1,0}) while(%x.1), condition=%cond.1, body=%body, TRIPS
  ROOT %end.2 = f32[4,4]{1,0} conditional(%y, %loop), branch_computations={%body, %cond.1}
}
""".replace("TRIPS", 'backend_config={"known_trip_count":{"n":"12"}}')


def test_instructions_are_read_with_shapes_operands_and_what_they_run():
    program = hlo.parse(TEXT)
    assert program.entry == "main.3"
    assert list(program.computations) == ["body", "main.3"]
    main = program.computations["main.3"]
    assert main["y"].num_bytes == 6
    assert main["loop"].shapes == ((), (4, 4))
    assert main["loop"].num_bytes == 4 + 64
    assert main["loop"].size == 17
    assert main["loop"].operands == ("x.1",)
    assert main["loop"].called == ("cond.1", "body")
    assert main["loop"].num_trips == 12
    assert main["end.2"].called == ("body", "cond.1")
    assert main["end.2"].num_trips is None
    assert [name for name, item in main.items() if item.is_root] == ["end.2"]
    assert program.computations["body"]["arg"].arguments == "0"


def test_whatever_the_compiler_writes_is_read():
    def function(x):
        y = lax.fori_loop(0, 9, lambda i, y: jnp.sort(y @ y, axis=0) + i, x)
        return jax.random.normal(jax.random.key(0), (3,)), jnp.linalg.eigh(y), jnp.fft.fft(y)

    program = hlo.parse(jax.jit(function).lower(jnp.ones((8, 8))).compile().as_text())
    items = [item for computation in program.computations.values() for item in computation.values()]
    assert all(called in program.computations for item in items for called in item.called)
    assert {"fft", "custom-call", "while"} <= {item.opcode for item in items}
    assert 9 in {item.num_trips for item in items}
    assert sum(item.opcode == "parameter" for item in program.computations[program.entry].values()) == 1


def test_text_without_an_entry_is_refused():
    with pytest.raises(ValueError, match="ENTRY"):
        hlo.parse("HloModule nothing\n")
