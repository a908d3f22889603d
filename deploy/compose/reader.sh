#!/bin/sh
# Run once by PostgreSQL's image, on an empty database: a user for Grafana that may only read.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$(cat /run/secrets/reader_password)" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE leukoscope_reader LOGIN PASSWORD :'password';
GRANT pg_read_all_data TO leukoscope_reader;
SQL
