"""Exports the collector's database to CSV, Parquet and FHIR R4. Only reads, and only a few rows at a time."""
