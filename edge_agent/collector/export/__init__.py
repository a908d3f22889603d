"""From the collector's database into files: CSV, Parquet and FHIR R4. Reads only, and never more than a few rows."""
