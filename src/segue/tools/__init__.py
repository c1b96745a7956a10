"""Python functions as tools: signature to schema, arguments to values."""
