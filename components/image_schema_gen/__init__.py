"""ImageSchemaGen: the schema that every photo set has to meet."""
