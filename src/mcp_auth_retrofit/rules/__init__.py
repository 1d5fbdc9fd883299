"""JUDGE: one module a rule, over the wiring that was read. A module with a `RULE` is a rule."""

import importlib
import pkgutil

from mcp_auth_retrofit.rules.finding import Rule


def all_rules() -> list[Rule]:
    """Every rule of this package, by code."""
    modules = [
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    ]
    rules = [module.RULE for module in modules if hasattr(module, "RULE")]
    return sorted(rules, key=lambda rule: rule.code)
