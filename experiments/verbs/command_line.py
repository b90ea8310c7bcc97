"""Reads typed options from the command line, with tyro; the only place that needs it."""

import contextlib
import dataclasses
import io
import os
import re
from collections.abc import Sequence
from typing import Annotated, Any

from experiments.verbs.errors import UserError

_RULE = re.compile("[-─]{3,}")
"""What marks the lines that frame a message, whether the terminal has box characters or not."""


def parse(program: str, parts: dict[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
    """Reads the fields of several dataclasses from one flat list of options.

    Args:
        program: what the user typed before the options, for the help text.
        parts: by name, a dataclass type whose fields without default are required, or an instance that
            gives the defaults.
        arguments: the options.

    Returns:
        An instance for each part.

    Raises:
        UserError: for an unknown or mistyped option, or a value out of range, in one line.
        SystemExit: after `--help`, which prints the options.
    """
    import tyro

    fields = []
    for name, part in parts.items():
        flat = Annotated[part if isinstance(part, type) else type(part), tyro.conf.arg(name="")]
        if isinstance(part, type):
            fields.append((name, flat))
        else:
            fields.append((name, flat, dataclasses.field(default=part)))
    parsed_type = dataclasses.make_dataclass("Arguments", fields, frozen=True, kw_only=True)
    description = "\n\n".join((p if isinstance(p, type) else type(p)).__doc__ or "" for p in parts.values())
    if "--help" in arguments or "-h" in arguments:
        tyro.cli(parsed_type, prog=program, description=description, args=["--help"])
    with _wide_terminal(), contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            parsed = tyro.cli(parsed_type, prog=program, description=description, args=list(arguments))
        except SystemExit:
            raise UserError(_one_line(said.getvalue())) from None
        except ValueError as error:
            raise UserError(str(error)) from error
    return {name: getattr(parsed, name) for name in parts}


@contextlib.contextmanager
def _wide_terminal():
    """Keeps the parser from breaking its messages into lines."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "1000"
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def _one_line(message: str) -> str:
    """The message between the parser's first two rules, with the option that it proposes."""
    lines = [line.strip(" |│") for line in message.splitlines()]
    rules = [number for number, line in enumerate(lines) if _RULE.search(line)]
    text = " ".join(lines[rules[0] + 1 : rules[1]]) if len(rules) > 1 else " ".join(lines)
    proposal = re.search(r"Perhaps you meant:.*?(--[\w.-]+)", message, re.DOTALL)
    return " ".join(text.split()) + (f", did you mean {proposal.group(1)}?" if proposal else "")
