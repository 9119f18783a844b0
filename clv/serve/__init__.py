"""Doors: batch files, the API, the MLflow registry, the report."""
