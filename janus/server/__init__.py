"""The OpenAI-compatible service: HTTP in, the engine's answers and pictures out."""
