"""The drawings of a report: charts and the graph of the lineage, as SVG."""
