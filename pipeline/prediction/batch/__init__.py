"""Any number of photos through a pushed model, on Beam: a plan of shards, each written whole or not at all."""
