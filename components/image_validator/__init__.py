"""ImageValidator: no unusable photo and no leak between splits goes further."""
