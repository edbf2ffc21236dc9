"""Words for people: numbers of things, how far a step is, and text that a terminal may show."""
