"""The web: REST API, page, and who may enter."""
