"""Other bytes: tabs, CRLF, a byte order mark."""

from dataclasses import replace

import libcst as cst

from harness.cases import Case
from harness.spellings.program import Program

_BOM = b"\xef\xbb\xbf"


def tabs(case: Case) -> Case | None:
    """Indented by tabs, inside parentheses too."""
    program = Program(case)
    module = cst.ensure_type(program.module.visit(_Tabs()), cst.Module)
    return program.spelled(module.with_changes(default_indent="\t"))


class _Tabs(cst.CSTTransformer):
    def leave_ParenthesizedWhitespace(
        self, original_node: cst.ParenthesizedWhitespace, updated_node: cst.ParenthesizedWhitespace
    ) -> cst.ParenthesizedWhitespace:
        last = cst.SimpleWhitespace(updated_node.last_line.value.replace("    ", "\t"))
        return updated_node.with_changes(last_line=last)


def crlf_and_bom(case: Case) -> Case | None:
    """CRLF line ends behind a byte order mark."""
    text = case.before
    if b"\r\n" in text:
        return None
    return replace(case, text=_BOM + text.removeprefix(_BOM).replace(b"\n", b"\r\n"))
