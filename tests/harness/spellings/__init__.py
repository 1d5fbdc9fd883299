"""Other spellings of a case, made by machine: each another program that means the same."""

from collections.abc import Callable

from harness.cases import Case
from harness.spellings import blocks, dress, layout, names

SPELLINGS: dict[str, Callable[[Case], Case | None]] = {
    maker.__name__: maker
    for maker in (
        names.rename,
        names.alias_as,
        names.alias_module,
        blocks.factory,
        blocks.factory_of_all,
        blocks.if_true,
        blocks.try_finally,
        blocks.mount_in_if,
        dress.comments,
        dress.decorators,
        dress.multi_line,
        dress.parenthesised,
        dress.keywords,
        dress.one_line,
        layout.tabs,
        layout.crlf_and_bom,
    )
}
"""Each gives the case in that spelling, or None where it does not apply."""
LAYOUTS = frozenset({"comments", "multi_line", "parenthesised", "one_line", "tabs", "crlf_and_bom"})
"""Those that leave the syntax tree as it is."""
