"""A slide's result in the formats that importers read, all with the same values."""
