"""The proxy between the workers of the compose deployment and the engine's socket: our containers, and nothing else of the engine.

It runs in an image of its own with Python alone: nothing here imports Airflow, or any other package.
"""
