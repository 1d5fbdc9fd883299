"""What a rule finds, and what a rule is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from mcp_auth_retrofit.wiring.model import Entrypoint

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Spot:
    """What one rule found in one file: where, and in plain words."""

    line: int
    """1-based."""
    offset: int
    """0-based, in UTF-8 bytes, as `ast` counts."""
    message: str
    fixable: bool
    """`apply` mends it."""


@dataclass(frozen=True)
class Rule:
    """One judgement: a stable code, a name, and the function that judges."""

    code: str
    name: str
    severity: Severity
    find: Callable[[Entrypoint], Iterator[Spot]]
