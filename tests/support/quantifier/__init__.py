"""QuaPy's Bayesian quantifier, another program for the model of our sampler."""
