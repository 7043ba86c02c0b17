"""What is on disk (存储): schema, migrations, SQLite and PostgreSQL, the batch writer, the audit."""
