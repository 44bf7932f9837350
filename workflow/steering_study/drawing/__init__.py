"""How every figure, table and page looks and is written. Knows nothing of what is shown."""
