"""What counts as a guard that a file has already: its words, and whether it refuses anybody."""

import ast

import pytest

from mcp_auth_retrofit.wiring.own_guards import Guard, guard_of_text

OWN = "class W:\n    async def __call__(self, scope, receive, send):\n"


@pytest.mark.parametrize(
    ("body", "guard"),
    [
        ("if not bearer(scope): await answer(send, 401)", "own"),
        ("if b'authorization' not in scope: raise HTTPException(status.HTTP_403_FORBIDDEN)", "own"),
        ("if not ok(scope['api_key']): raise HTTPStatus.UNAUTHORIZED", "own"),
        ("await self.auth(scope, receive, send)", "unclear"),
        ("'''Does not look at tokens.'''; await self.app(scope, receive, send)", "none"),
        ("token = REQUEST.set(1); await self.app(scope); REQUEST.reset(token)", "none"),
        ("await answer(send, 403)", "none"),
        ("await self.app(scope, receive, send)  # no auth here", "none"),
    ],
)
def test_told_from_its_text(body: str, guard: Guard) -> None:
    (made,) = ast.parse(f"{OWN}        {body}\n").body
    assert guard_of_text(made) == guard
