"""Other names: of the app, the server and the MCP app; of what is imported."""

import libcst as cst
from libcst.metadata import Assignment

from harness.cases import Case
from harness.spellings.program import ROLES, Program, nodes, swapped, uses

NEW = {"app": ("site", "portal"), "server": ("toolbox", "bench"), "mcp_app": ("inner", "door")}
"""None of them says what it is, as `mcp` and `app` do."""


def rename(case: Case) -> Case | None:
    """The app, the server and the MCP app get other names; `self.app` becomes `self.site`."""
    program = Program(case)
    swaps: dict[cst.CSTNode, cst.CSTNode] = {}
    renamed: dict[str, str] = {}
    for old, role in program.roles.items():
        new = program.free(*NEW[role], f"{NEW[role][0]}_{old}")
        while new in renamed.values():
            new += "_"
        for scope in program.owners(old):
            bindings = program.bindings(scope, old)
            if any(
                isinstance(b.node, cst.Param | cst.FunctionDef | cst.ClassDef) for b in bindings
            ):
                continue
            for binding in bindings:
                swaps.update(_renaming(binding, old, new))
            if program.is_global(scope):
                renamed[old] = new
    if not swaps:
        return None
    swaps.update(_strings(program, renamed))
    swaps.update(_attributes(program))
    swaps.update(_globals(program, renamed))
    root, dot, rest = case.app.partition(".")
    options = [renamed.get(word, word) for word in case.options]
    return program.spelled(
        swapped(program.module, swaps),
        app=case.app if case.factory else renamed.get(root, root) + dot + _HELD.get(rest, rest),
        options=tuple(options),
    )


_HELD = {"app": "site", "mcp": "toolbox"}


def _attributes(program: Program) -> dict[cst.CSTNode, cst.CSTNode]:
    """`self.app` and `self.mcp` inside a class."""
    return {
        node.attr: node.attr.with_changes(value=_HELD[node.attr.value])
        for node in nodes(program.module)
        if isinstance(node, cst.Attribute)
        and isinstance(node.value, cst.Name)
        and node.value.value == "self"
        and node.attr.value in _HELD
    }


def _globals(program: Program, renamed: dict[str, str]) -> dict[cst.CSTNode, cst.CSTNode]:
    """`global server` in a function."""
    return {
        item.name: item.name.with_changes(value=renamed[item.name.value])
        for node in nodes(program.module)
        if isinstance(node, cst.Global)
        for item in node.names
        if item.name.value in renamed
    }


def _renaming(binding: Assignment, old: str, new: str) -> dict[cst.CSTNode, cst.CSTNode]:
    """What becomes of one binding and of everything that reads it."""
    swaps: dict[cst.CSTNode, cst.CSTNode] = {
        node: node.with_changes(value=new) for node in uses(binding) if node.value == old
    }
    made = binding.node
    if isinstance(made, cst.Name):
        swaps[made] = made.with_changes(value=new)
    elif isinstance(made, cst.ImportFrom) and not isinstance(made.names, cst.ImportStar):
        for alias in made.names:
            if alias.evaluated_alias is None and alias.evaluated_name == old:
                swaps[alias] = alias.with_changes(asname=_as(new))
    return swaps


def _as(name: str) -> cst.AsName:
    space = cst.SimpleWhitespace(" ")
    return cst.AsName(cst.Name(name), whitespace_before_as=space, whitespace_after_as=space)


def _strings(program: Program, renamed: dict[str, str]) -> dict[cst.CSTNode, cst.CSTNode]:
    """`uvicorn.run("main:app")` and `__all__` name the app in a string."""
    swaps: dict[cst.CSTNode, cst.CSTNode] = {}
    for node in nodes(program.module):
        listed = isinstance(node, cst.Assign) and "__all__" in {
            getattr(target.target, "value", None) for target in node.targets
        }
        for inner in nodes(node) if listed or isinstance(node, cst.SimpleString) else ():
            text = inner.raw_value if isinstance(inner, cst.SimpleString) else ""
            module, colon, name = text.rpartition(":")
            if name in renamed and (listed or (colon and module.isidentifier())):
                new = f"{module}{colon}{renamed[name]}"
                swaps[inner] = cst.SimpleString(f'"{new}"')
    return swaps


def alias_as(case: Case) -> Case | None:
    """`from fastapi import FastAPI as Web`."""
    program = Program(case)
    swaps: dict[cst.CSTNode, cst.CSTNode] = {}
    for scope in program.scopes:
        for binding in scope.assignments:
            if isinstance(binding, Assignment) and _imports_maker(binding):
                new = program.free("Web" if ROLES[binding.name] == "app" else "Tools")
                swaps.update(_renaming(binding, binding.name, new))
    return program.spelled(swapped(program.module, swaps))


def _imports_maker(binding: Assignment) -> bool:
    made = binding.node
    return (
        isinstance(made, cst.ImportFrom)
        and isinstance(made.names, tuple | list)
        and any(a.evaluated_name == binding.name and a.asname is None for a in made.names)
        and binding.name in ROLES
    )


def alias_module(case: Case) -> Case | None:
    """`import fastapi`, and then `fastapi.FastAPI`."""
    program = Program(case)
    swaps: dict[cst.CSTNode, cst.CSTNode] = {}
    for scope in program.scopes:
        for binding in scope.assignments:
            if not isinstance(binding, Assignment) or not isinstance(binding.node, cst.ImportFrom):
                continue
            made = binding.node
            package = made.module
            if not isinstance(package, cst.Name) or package.value not in ("fastapi", "fastmcp"):
                continue
            if made.relative or isinstance(made.names, cst.ImportStar):
                continue
            space = made.whitespace_after_from
            swaps[made] = cst.Import([cst.ImportAlias(package)], whitespace_after_import=space)
            origin = {alias.evaluated_alias or alias.evaluated_name: alias for alias in made.names}
            held = cst.Attribute(package, cst.Name(origin[binding.name].evaluated_name))
            swaps.update(dict.fromkeys(uses(binding), held))
    return program.spelled(swapped(program.module, swaps))
