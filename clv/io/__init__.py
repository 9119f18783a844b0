"""Files in and out: tables, logs, JSON, CSV that is safe to open in a spreadsheet."""
