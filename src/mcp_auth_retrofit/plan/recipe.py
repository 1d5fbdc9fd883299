"""The published recipe, taken out as a whole: the guard does what it was for."""

import ast

from mcp_auth_retrofit.edits import DropImports, Remove
from mcp_auth_retrofit.plan.consequences import documentation
from mcp_auth_retrofit.plan.decision import Decision
from mcp_auth_retrofit.results import Caution
from mcp_auth_retrofit.wiring.recipe import Recipe


def decide_recipe(decision: Decision) -> None:
    """Its middleware, client, metadata route, CORS block, and the constants nobody else uses."""
    recipe = decision.entry.recipe
    if recipe is None:
        return
    for place, statement in (*recipe.removed, *recipe.left.constants):
        decision.plan.add(
            Remove(place, comments=True),
            "recipe",
            _first_line(statement),
            f"Takes out the recipe's {_named(statement)}.",
        )
    _tell(decision, recipe)


def drop_unused(decision: Decision) -> None:
    """Behind every import that is added: what stays empty then goes."""
    recipe = decision.entry.recipe
    for place, names in recipe.left.imports if recipe is not None else ():
        decision.plan.edits.append(DropImports(place, names))


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(d.lineno for d in decorators)])


def _named(statement: ast.stmt) -> str:
    """A few words for what is removed."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return f"`{statement.name}`"
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if target is not None:
        return f"`{ast.unparse(target)}`"
    text = ast.unparse(statement)
    return "CORS block" if "CORSMiddleware" in text else f"`{text}`"


def _tell(decision: Decision, recipe: Recipe) -> None:
    warnings, own = decision.plan.warnings, recipe.module is decision.entry.module
    if recipe.scopes:
        message = "The recipe asked for scopes: name them in MCP_REQUIRED_SCOPES."
        warnings.append(Caution("recipe-scopes", message, recipe.line))
    if recipe.module.path != decision.entry.path and not own:
        message = (
            f"The recipe's middleware lies in {recipe.module.path.name}: that file is left as it "
            "is, and needs to be imported by nobody any more."
        )
        warnings.append(Caution("recipe-elsewhere", message, recipe.line))
    if not recipe.whole_app and decision.plan.protect == "mcp":
        pages = documentation(decision.entry)
        if pages:
            message = (
                f"The recipe's middleware stood in front of FastAPI's own pages too "
                f"({', '.join(pages)}): they answer to everybody now; --protect all keeps them."
            )
            warnings.append(Caution("recipe-opens", message, recipe.line))
    if recipe.whole_app and decision.plan.protect == "mcp":
        message = (
            "The recipe's middleware stood in front of all of the app's routes; with --protect mcp "
            "they answer to everybody."
        )
        warnings.append(Caution("recipe-opens", message, recipe.line))
