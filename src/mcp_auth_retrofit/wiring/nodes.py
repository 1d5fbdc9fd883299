"""Every node of a module, walked once: most questions to a file go through all of it."""

import ast
from functools import lru_cache


@lru_cache(maxsize=512)
def nodes(tree: ast.Module) -> tuple[ast.AST, ...]:
    """What `ast.walk` gives for a whole module, in its order: the outermost first."""
    return tuple(ast.walk(tree))
