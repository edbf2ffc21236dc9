"""A batch of any size, where an exporter wrote that of its example into the graph."""
