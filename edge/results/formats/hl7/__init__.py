"""HL7 v2.5.1: a slide's result as ORU^R01 and OUL^R22."""
