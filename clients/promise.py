"""What a client's module hands back, and the one error that means something else than a fault."""

import re
from dataclasses import dataclass

JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


@dataclass(frozen=True)
class Promise:
    """Something that has to hold, and what came back."""

    name: str
    held: bool
    said: str

    def __str__(self) -> str:
        """One line, at most 400 characters; no token, whatever a client has printed."""
        line = " ".join(JWT.sub("<token>", self.said).split())
        return f"{'ok   ' if self.held else 'SHORT'} {self.name}: {line[:400]}"


class CouldNotRun(Exception):
    """A program that is needed is missing: that says nothing about the guard."""
