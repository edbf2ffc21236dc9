"""The record of decisions: appended only, each entry chained to the one before by its hash."""
