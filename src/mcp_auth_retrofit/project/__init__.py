"""The files around the source: .env.example and the list of requirements."""

from mcp_auth_retrofit.project.files import ProjectFiles, plan_project, project_writes
from mcp_auth_retrofit.project.settings import settings

__all__ = ["ProjectFiles", "plan_project", "project_writes", "settings"]
