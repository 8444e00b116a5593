"""What a run directory is: where its files are, its shards, plan, lock, schemas and ledgers."""
