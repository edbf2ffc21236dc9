"""river's Page-Hinkley test, another program for the recursion of our CUSUM."""
