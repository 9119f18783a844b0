"""The API as tools of assistants; see ``mcp_server.py``."""

from clv.extras import require_extra

require_extra("mcp", "mcp")
