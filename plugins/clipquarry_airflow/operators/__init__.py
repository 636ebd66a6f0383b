"""Operators: stages run in the worker, steps run in a runtime."""
