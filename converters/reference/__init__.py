"""The reference model: network, weights, card, training and the data sets it is trained on."""
