"""The network: one transformer with two heads between two visual encoders."""
