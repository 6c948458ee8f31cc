"""The statements of docs/sql.md, run in a PostgreSQL and in ClickHouse's engine."""
