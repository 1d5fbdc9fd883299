"""Carries out a plan's edits on one module."""

from collections.abc import Sequence

from mcp_auth_retrofit.edits import (
    AddImports,
    AddKeywords,
    DropImports,
    Edit,
    Hoist,
    Insert,
    MoveKeywords,
    Remove,
    RewriteMount,
    SetLifespan,
)
from mcp_auth_retrofit.transforms.constructor import add_keywords, drop_keywords, set_lifespan
from mcp_auth_retrofit.transforms.draft import Draft
from mcp_auth_retrofit.transforms.imports import add_imports, drop_imports
from mcp_auth_retrofit.transforms.mount import hoist, rewrite_mount


def rewrite(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The module's bytes with every edit carried out; encoding, BOM and line ends stay."""
    draft = Draft(data)
    for edit in edits:
        match edit:
            case AddImports():
                add_imports(draft, edit)
            case Insert(after=True):
                draft.insert_after(edit.place, edit.code, edit.blank)
            case Insert():
                draft.insert_before(edit.place, edit.code, edit.blank, joined=edit.joined)
            case Hoist():
                hoist(draft, edit)
            case Remove():
                draft.remove(edit.place, comments=edit.comments)
            case DropImports():
                drop_imports(draft, edit)
            case SetLifespan():
                set_lifespan(draft, edit)
            case MoveKeywords():
                drop_keywords(draft, edit)
            case AddKeywords():
                add_keywords(draft, edit)
            case RewriteMount():
                rewrite_mount(draft, edit)
    return draft.finish().bytes
