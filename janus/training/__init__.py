"""Training: data sets, losses and loops. Enters: a model and examples; leaves: a better model."""
