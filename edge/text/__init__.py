"""Words for people: numbers of things, and text that a terminal may show."""
