"""How the tables of `schema` came to be, step by step; run by alembic, from `store`."""
