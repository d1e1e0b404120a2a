"""Evaluation: exams for quality and benchmarks for speed. Judges models, never changes them."""
