"""Use cases, files in and results out: training, promotion, scoring, publishing, plans; MLflow."""
