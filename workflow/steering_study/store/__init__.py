"""Files of a study: tables, tensors, records, YAML, and how a rule's job reads and writes them. Knows nothing of models."""
