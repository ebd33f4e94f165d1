"""The sections of the report: each module loads what the template of the same name shows."""
