"""Errors that are the user's to mend: shown as one line, exit code 2."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something asked for does not exist or does not fit; the message is one line."""


def choose(kind: str, name: str, known: Iterable[str]) -> str:
    """Returns `name` if it is one of `known`.

    Args:
        kind: what is named, such as "paper".
        name: the name given.
        known: the names there are.

    Raises:
        UserError: otherwise, with the nearest name.
    """
    known = list(known)
    if name in known:
        return name
    raise UserError(f"unknown {kind} '{name}'{nearest(name, known)}; known: {', '.join(known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint such as ", did you mean 'fbpaug'?", or nothing where no name is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f", did you mean '{matches[0]}'?" if matches else ""
