"""Files and folders that hold a model in a form that is not taken, and what to do with each."""
