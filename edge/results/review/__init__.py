"""The review page: what a person sees, decides and signs, and the record of it."""
