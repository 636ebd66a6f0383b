"""The proxy between the workers of the compose deployment and the engine's socket: it allows our containers, and
nothing else.

It runs in an image of its own with Python alone: nothing here imports Airflow, or any other package.
"""
