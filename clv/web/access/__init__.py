"""Who may see what: keys, roles, sessions, limits, headers and the audit, one idea each."""
