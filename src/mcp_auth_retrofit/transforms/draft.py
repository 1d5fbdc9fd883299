"""A module under way: edits are noted against the places of the original and carried out at once.

Noting first and building last keeps every place valid: no edit moves the ground under the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import libcst as cst

from mcp_auth_retrofit.transforms.lines import (
    Statement,
    as_statement,
    blank_line,
    comment_line,
    flat,
    leading_lines,
    split_leading,
    split_line,
    suite_of,
    with_leading,
    with_suite,
)
from mcp_auth_retrofit.wiring.places import Place


@dataclass
class _Slot:
    """What happens at one original statement."""

    before: list[cst.BaseStatement] = field(default_factory=list)
    imports: list[cst.BaseStatement] = field(default_factory=list)
    """Imports behind it, in front of `after`."""
    after: list[cst.BaseStatement] = field(default_factory=list)
    replaced: Statement | None = None
    removed: bool = False
    lifted: bool = False
    """The comments directly above went elsewhere with the statement."""
    gone: bool = False
    """Nothing of the removed statement stays: neither its comments nor its empty lines."""
    comments: list[str] = field(default_factory=list)
    joined: bool = False
    """No empty line between `before` and the statement: its own go above them."""
    above: int = 0
    """Empty lines that stay above the statement all the same."""


class Draft:
    """One module and the edits that are noted against it."""

    def __init__(self, data: bytes) -> None:
        self.module = cst.parse_module(data)
        self._slots: dict[Place, _Slot] = {}

    def statement(self, place: Place) -> Statement:
        """The statement at a place, as the edits noted so far have it."""
        slot = self._slots.get(place)
        if slot and slot.replaced is not None:
            return slot.replaced
        return flat(self._block(place[:-1], place[-1][0]))[place[-1][1]]

    def replace(self, place: Place, statement: Statement) -> None:
        """Puts another statement where one stands."""
        self._slot(place).replaced = statement

    def remove(self, place: Place, *, comments: bool = False) -> None:
        """Takes a statement away; the comments directly above it stay unless they go too."""
        slot = self._slot(place)
        slot.removed, slot.gone = True, comments

    def insert_before(
        self, place: Place, code: str, blank: int = 0, *, joined: bool = False
    ) -> None:
        """Adds code in front of a statement; `place` may be one past the end of its block."""
        for statement in self.parse(code, blank):
            self.insert_statement(place, statement, joined=joined)

    def insert_after(
        self, place: Place, code: str, blank: int = 0, *, imports: bool = False
    ) -> None:
        """Adds code behind a statement, before the comments of the next; imports come first."""
        slot = self._slot(place)
        (slot.imports if imports else slot.after).extend(self.parse(code, blank))

    def insert_statement(self, place: Place, statement: cst.BaseStatement, *, joined: bool) -> None:
        """Adds a statement in front of another."""
        slot = self._slot(place)
        slot.before.append(statement)
        slot.joined = slot.joined or joined

    def space_above(self, place: Place, blank: int) -> None:
        """Keeps empty lines between a statement and what is joined to it."""
        self._slot(place).above = blank

    def keep_comments(self, place: Place, comments: Sequence[str]) -> None:
        """Puts comments that an edit would lose on lines of their own above a statement."""
        self._slot(place).comments += comments

    def move(self, source: Place, target: Place, blank: int) -> None:
        """Moves a statement in front of another, with the comments directly above it."""
        line = self._whole_line(source)
        if isinstance(line, cst.SimpleStatementLine):
            small = self.statement(source).with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
            line = line.with_changes(body=[small])
        elif (slot := self._slots.get(source)) and slot.replaced is not None:
            line = as_statement(slot.replaced)
        line = self._inside(line, source)
        comments = split_leading(leading_lines(line))[1]
        moved = with_leading(line, [*[blank_line()] * blank, *comments])
        self._slot(target).before.append(moved)
        slot = self._slot(source)
        slot.removed = slot.lifted = True

    def parse(self, code: str, blank: int = 0) -> list[cst.BaseStatement]:
        """Code in our own spelling (LF, four spaces) as statements in the file's spelling."""
        module = self.module
        lines = code.split("\n")
        depths = [(len(line) - len(line.lstrip(" "))) // 4 for line in lines]
        spelled = module.default_newline.join(
            module.default_indent * depth + line.lstrip(" ")
            for depth, line in zip(depths, lines, strict=True)
        )
        parsed = cst.parse_module(spelled, config=module.config_for_parsing)
        first, *rest = (_unpadded(statement) for statement in parsed.body)
        return [with_leading(first, [*[blank_line()] * blank, *parsed.header]), *rest]

    def finish(self) -> cst.Module:
        """The module with every edit carried out."""
        body, orphans = self._build((), "body", self.module.body)
        return self.module.with_changes(body=body, footer=[*orphans, *self.module.footer])

    def _slot(self, place: Place) -> _Slot:
        return self._slots.setdefault(place, _Slot())

    def _block(self, holder: Place, name: str) -> Sequence[cst.BaseStatement]:
        if not holder:
            return self.module.body
        outer = flat(self._block(holder[:-1], holder[-1][0]))[holder[-1][1]]
        return _statements(suite_of(outer, name))

    def _whole_line(self, place: Place) -> cst.BaseStatement:
        lines: list[cst.BaseStatement] = []
        for line in self._block(place[:-1], place[-1][0]):
            lines += split_line(line) if isinstance(line, cst.SimpleStatementLine) else [line]
        return lines[place[-1][1]]

    def _build(
        self, holder: Place, name: str, body: Sequence[cst.BaseStatement]
    ) -> tuple[list[cst.BaseStatement], list[cst.EmptyLine]]:
        """The block's statements, and the comments left over behind its last."""
        built: list[cst.BaseStatement] = []
        orphans: list[cst.EmptyLine] = []

        def add(statements: Sequence[cst.BaseStatement]) -> None:
            nonlocal orphans
            for statement in statements:
                lines = _below(orphans, leading_lines(statement))
                # What becomes a file's first statement has no gap above it.
                at_top = not holder and not built and not self.module.header
                lines = lines[_blanks(lines) :] if at_top and index > 1 else lines
                built.append(with_leading(statement, lines))
                orphans = []

        index = 0
        for line in body:
            simple = isinstance(line, cst.SimpleStatementLine)
            width = len(line.body) if isinstance(line, cst.SimpleStatementLine) else 1
            places = [(*holder, (name, index + k)) for k in range(width)]
            index += width
            if simple and not any(place in self._slots for place in places):
                add([line])
                continue
            parts = split_line(line) if isinstance(line, cst.SimpleStatementLine) else [line]
            for part, place in zip(parts, places, strict=True):
                slot = self._slots.get(place, _Slot())
                if slot.removed:
                    add(slot.before)
                    orphans = _together(orphans, _left_behind(part, slot), gone=slot.gone)
                else:
                    add(_joined(slot, self._edited(part, place, slot), 1 if holder else 2))
                add([*slot.imports, *slot.after])
        add(self._slots.get((*holder, (name, index)), _Slot()).before)
        if holder and built and body:
            # A function's or an `if`'s body begins without a gap, unless it had one.
            lines = leading_lines(built[0])
            surplus = max(0, _blanks(lines) - _blanks(leading_lines(body[0])))
            built[0] = with_leading(built[0], lines[surplus:])
        return built, orphans if any(line.comment for line in orphans) else []

    def _edited(self, part: cst.BaseStatement, place: Place, slot: _Slot) -> cst.BaseStatement:
        if isinstance(slot.replaced, cst.BaseSmallStatement):
            semicolon = cst.ensure_type(part, cst.SimpleStatementLine).body[0].semicolon
            part = part.with_changes(body=[slot.replaced.with_changes(semicolon=semicolon)])
        elif slot.replaced is not None:
            part = slot.replaced
        part = self._inside(part, place)
        added = [comment_line(text) for text in slot.comments]
        return with_leading(part, [*leading_lines(part), *added])

    def _inside(self, node: cst.BaseStatement, place: Place) -> cst.BaseStatement:
        depth = len(place)
        names = {p[depth][0] for p in self._slots if len(p) > depth and p[:depth] == place}
        for name in sorted(names):
            suite = suite_of(node, name)
            body, orphans = self._build(place, name, _statements(suite))
            node = with_suite(node, name, body, [*orphans, *suite.footer])
        return node


def _statements(suite: cst.IndentedBlock) -> list[cst.BaseStatement]:
    return [as_statement(statement) for statement in suite.body]


def _unpadded(statement: cst.BaseStatement) -> cst.BaseStatement:
    """Its empty lines without the indentation that they would get inside a function."""
    lines = [line if line.comment else blank_line() for line in leading_lines(statement)]
    return with_leading(statement, lines)


def _joined(slot: _Slot, statement: cst.BaseStatement, apart: int) -> list[cst.BaseStatement]:
    """What is inserted and the statement itself, with the empty lines where they belong."""
    before = _apart(slot.before, apart)
    lines = leading_lines(statement)
    if not (before and slot.joined):
        defines = bool(before) and isinstance(before[-1], cst.FunctionDef)
        wanted = max(slot.above, apart if defines else 0) if before else 0
        return [*before, _spaced(statement, wanted)]
    own, commented = _blanks(lines), any(line.comment for line in lines)
    first, *rest = before
    given = leading_lines(first)
    # The very lines that stood there: an empty one may hold spaces.
    first = with_leading(first, [*lines[:own], *given[min(own, _blanks(given)) :]])
    below = [*[blank_line()] * max(slot.above, int(commented)), *lines[own:]]
    return [first, *rest, with_leading(statement, below)]


def _apart(statements: Sequence[cst.BaseStatement], apart: int) -> list[cst.BaseStatement]:
    """Inserted statements, those behind a function with its empty lines above them."""
    spaced = list(statements)
    for index in range(1, len(spaced)):
        if isinstance(spaced[index - 1], cst.FunctionDef):
            spaced[index] = _spaced(spaced[index], apart)
    return spaced


def _spaced(statement: cst.BaseStatement, wanted: int) -> cst.BaseStatement:
    """The statement under at least so many empty lines."""
    lines = leading_lines(statement)
    missing = max(0, wanted - _blanks(lines))
    return with_leading(statement, [*[blank_line()] * missing, *lines])


def _blanks(lines: Sequence[cst.EmptyLine]) -> int:
    """How many empty lines stand before the first comment."""
    return next((i for i, line in enumerate(lines) if line.comment), len(lines))


def _left_behind(part: cst.BaseStatement, slot: _Slot) -> list[cst.EmptyLine]:
    """What a removed statement leaves: its comments, unless they were lifted or there are none."""
    apart, above = split_leading(leading_lines(part))
    if slot.gone:
        return apart
    kept = apart if slot.lifted else [*apart, *above]
    if not slot.lifted and isinstance(part, cst.SimpleStatementLine):
        comment = part.trailing_whitespace.comment
        kept += [comment_line(comment.value)] if comment else []
    return kept


def _together(
    orphans: list[cst.EmptyLine], left: list[cst.EmptyLine], *, gone: bool
) -> list[cst.EmptyLine]:
    """What several removed statements leave: of empty lines alone, the widest gap."""
    if gone and not any(line.comment for line in (*orphans, *left)):
        return max(orphans, left, key=len)
    return [*orphans, *left]


def _below(orphans: Sequence[cst.EmptyLine], lines: Sequence[cst.EmptyLine]) -> list[cst.EmptyLine]:
    """The lines above a statement that follows a removed one: no comment lost, no gap doubled."""
    if any(line.comment for line in orphans):
        return [*orphans, *lines]
    return [*orphans[_blanks(lines) :], *lines]
