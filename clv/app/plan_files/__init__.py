"""Plan files and offer files in TOML, read and checked field by field."""
