"""The results database: tables, migrations and queries. Functions take a Session first and never commit."""
